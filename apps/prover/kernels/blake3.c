// BLAKE3: chunks of a row in parallel, their tree, and the leaf with the row's number at its end.

#define CHUNK_START 1u
#define CHUNK_END 2u
#define PARENT 4u
#define ROOT 8u

#define MIX(a, b, c, d, x, y)    \
    a += b + (x);                \
    d = ROTL(d ^ a, 16);         \
    c += d;                      \
    b = ROTL(b ^ c, 20);         \
    a += b + (y);                \
    d = ROTL(d ^ a, 24);         \
    c += d;                      \
    b = ROTL(b ^ c, 25);

#define ROUND(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15) \
    MIX(v[0], v[4], v[8], v[12], m[m0], m[m1])                                      \
    MIX(v[1], v[5], v[9], v[13], m[m2], m[m3])                                      \
    MIX(v[2], v[6], v[10], v[14], m[m4], m[m5])                                     \
    MIX(v[3], v[7], v[11], v[15], m[m6], m[m7])                                     \
    MIX(v[0], v[5], v[10], v[15], m[m8], m[m9])                                     \
    MIX(v[1], v[6], v[11], v[12], m[m10], m[m11])                                   \
    MIX(v[2], v[7], v[8], v[13], m[m12], m[m13])                                    \
    MIX(v[3], v[4], v[9], v[14], m[m14], m[m15])

// BLAKE3's first words are those of SHA-256.
#define START_WORDS                                                                                     \
    {0x6A09E667u, 0xBB67AE85u, 0x3C6EF372u, 0xA54FF53Au, 0x510E527Fu, 0x9B05688Cu, 0x1F83D9ABu, 0x5BE0CD19u}

// `cv` becomes the chaining value after the block `m`.
INLINE void compress(u32 *cv, const u32 *m, u32 counter, u32 bytes, u32 flags) {
    u32 v[16] = {cv[0],       cv[1],       cv[2],       cv[3],       cv[4],   cv[5], cv[6], cv[7],
                 0x6A09E667u, 0xBB67AE85u, 0x3C6EF372u, 0xA54FF53Au, counter, 0,     bytes, flags};
    ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    ROUND(2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
    ROUND(3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1)
    ROUND(10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6)
    ROUND(12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4)
    ROUND(9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7)
    ROUND(11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13)
    UNROLL
    for (u32 i = 0; i < 8; i++) cv[i] = v[i] ^ v[i + 8];
}

INLINE void load16(u32 *m, GLOBAL const u32 *from) {
    UNROLL
    for (u32 i = 0; i < 16; i += 4) {
        const uint4 four = *(GLOBAL const uint4 *)(from + i);
        m[i] = four.x;
        m[i + 1] = four.y;
        m[i + 2] = four.z;
        m[i + 3] = four.w;
    }
}

INLINE void store_cv(GLOBAL u32 *to, const u32 *cv) {
    UNROLL
    for (u32 i = 0; i < 8; i++) to[i] = cv[i];
}

// The chaining value of each whole chunk of 1024 bytes. Rows have `chunks` of them, a power of two, and lie one after
// another, so that chunk `g` of all begins at word 256 g.
KERNEL(64) void hash_chunks(GLOBAL const u32 *product, GLOBAL u32 *cvs, u32 chunks, u32 total) {
    const u32 g = GLOBAL_ITEM;
    if (g >= total) return;
    u32 cv[8] = START_WORDS;
    NO_UNROLL
    for (u32 block = 0; block < 16; block++) {
        u32 m[16];
        load16(m, product + (size_t)g * 256 + block * 16);
        const u32 flags = (block == 0 ? CHUNK_START : 0) | (block == 15 ? CHUNK_END : 0);
        compress(cv, m, g & (chunks - 1), 64, flags);
    }
    store_cv(cvs + (size_t)g * 8, cv);
}

// Two chaining values become one, for all rows at once.
KERNEL(64) void hash_parents(GLOBAL const u32 *below, GLOBAL u32 *above, u32 total) {
    const u32 g = GLOBAL_ITEM;
    if (g >= total) return;
    u32 cv[8] = START_WORDS;
    u32 m[16];
    load16(m, below + (size_t)g * 16);
    compress(cv, m, 0, 64, PARENT);
    store_cv(above + (size_t)g * 8, cv);
}

// The leaf of each row, in its place among all: its entries, of which `cvs` has the tree, then its number and the round
// as a last, short chunk.
KERNEL(64) void hash_leaves(
    GLOBAL const u32 *cvs, GLOBAL u32 *leaves, u32 chunks, u32 first_row, u32 round, u32 total
) {
    const u32 g = GLOBAL_ITEM;
    if (g >= total) return;
    u32 last[8] = START_WORDS;
    u32 m[16] = {first_row + g, round, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    compress(last, m, chunks, 8, CHUNK_START | CHUNK_END);
    u32 cv[8] = START_WORDS;
    UNROLL
    for (u32 i = 0; i < 8; i++) {
        m[i] = cvs[(size_t)g * 8 + i];
        m[i + 8] = last[i];
    }
    compress(cv, m, 0, 64, PARENT | ROOT);
    store_cv(leaves + (size_t)(first_row + g) * 8, cv);
}
