// Puzzles: one number per item, and the smallest that solves.

// `found` is at first 2^32 − 1, and becomes the smallest `g` for which `first + g` solves puzzle `index`.
KERNEL(64) void solve(GLOBAL u32 *found, u64 first, u32 index, u32 bits, KEY) {
    const u32 g = GLOBAL_ITEM;
    const u64 x = first + g;
    u32 cv[8] = START_WORDS;
    const u32 m[16] = {KEY_WORDS, index, (u32)x, (u32)(x >> 32), 0, 0, 0, 0, 0};
    compress(cv, m, 0, 44, CHUNK_START | CHUNK_END | ROOT);
    const u64 front = ((u64)SWAP_BYTES(cv[0]) << 32) | SWAP_BYTES(cv[1]);
    if (front >> (64 - bits) == 0) ATOMIC_MIN(found, g);
}
