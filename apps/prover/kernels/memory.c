// Memory: blocks of 4 KiB, filled by one item each, and walked through by 32 lanes per walker.

// A memory lies in up to eight allocations, since cards limit the size of one: each holds 2^`log_part` blocks.
#define PARTS                                                                                    \
    GLOBAL u32 *part0, GLOBAL u32 *part1, GLOBAL u32 *part2, GLOBAL u32 *part3, GLOBAL u32 *part4, \
        GLOBAL u32 *part5, GLOBAL u32 *part6, GLOBAL u32 *part7, u32 log_part
#define PARTS_GIVEN part0, part1, part2, part3, part4, part5, part6, part7, log_part

INLINE GLOBAL u32 *block_at(PARTS, u64 block) {
    const u32 part = (u32)(block >> log_part);
    GLOBAL u32 *low = part & 1 ? part1 : part0;
    GLOBAL u32 *high = part & 1 ? part3 : part2;
    GLOBAL u32 *lower = part & 2 ? high : low;
    low = part & 1 ? part5 : part4;
    high = part & 1 ? part7 : part6;
    GLOBAL u32 *upper = part & 2 ? high : low;
    return (part & 4 ? upper : lower) + (size_t)(block & (((u64)1 << log_part) - 1)) * 1024;
}

// Blocks from `first` on, `total` of them.
KERNEL(64) void fill(PARTS, u64 first, u32 total, u32 mix, KEY) {
    const u32 g = GLOBAL_ITEM;
    if (g >= total) return;
    const u64 block = first + g;
    GLOBAL u32 *to = block_at(PARTS_GIVEN, block);
    u32 x[16] = CHACHA_INPUT((u32)block, (u32)(block >> 32), 0, FILL);
    NO_UNROLL
    for (u32 cell = 0; cell < 64; cell++) {
        permute(x, mix);
        store16(to + cell * 16, x);
    }
}

// A leg of all walks, two walkers in each group: `ends` has the ends of `legs` legs for each walker, those before this
// leg already. Lane l of a walker keeps words 32 k + l of its state.
KERNEL(64) void walk(PARTS, u64 blocks, GLOBAL u32 *ends, u32 walkers, u32 leg, u32 legs, u32 steps, KEY) {
    EXCHANGE(exchange, 64)
    const u32 lane = ITEM & 31;
    const u32 walker = GROUP_X * 2 + (ITEM >> 5);
    // A walker that does not exist walks the first one's walk, since all lanes of a group take part in every exchange;
    // nobody keeps it.
    const u32 walked = walker < walkers ? walker : 0;
    GLOBAL u32 *end = ends + ((size_t)walked * legs + leg) * 32;
    if (leg > 0) {
        GLOBAL const u32 *before = end - 32;
        key0 = before[0];
        key1 = before[1];
        key2 = before[2];
        key3 = before[3];
        key4 = before[4];
        key5 = before[5];
        key6 = before[6];
        key7 = before[7];
    }
    u32 state[32] = {0};
    NO_UNROLL
    for (u32 part = 0; part < 2; part++) {
        u32 x[16] = CHACHA_INPUT(part, walked, lane, WALK);
        permute(x, STREAM_ROUNDS);
        UNROLL
        for (u32 i = 0; i < 16; i++) {
            state[i] = state[i + 16];
            state[i + 16] = x[i];
        }
    }
    NO_UNROLL
    for (u32 step = 0; step < steps; step++) {
        const u32 low = LANE_GET(state[31], 0, exchange);
        const u32 high = LANE_GET(state[31], 1, exchange);
        const u32 down = LANE_GET(state[31], 2, exchange) >> 27;
        const u32 right = LANE_GET(state[31], 3, exchange) >> 27;
        GLOBAL const u32 *block = block_at(PARTS_GIVEN, (((u64)high << 32) | low) % blocks) + ((lane + right) & 31);
        u32 words[32];
        UNROLL
        for (u32 k = 0; k < 32; k++) words[k] = block[32 * ((k + down) & 31)];
        u32 a = state[31];
        UNROLL
        for (u32 k = 0; k < 32; k++) {
            a = ROTL((a ^ state[k] ^ words[k]) * 0x9E3779B1u, 15);
            state[k] = a;
        }
        UNROLL
        for (u32 d = 1; d < 32; d <<= 1) {
            const u32 other = LANE_XOR(a, d, exchange);
            a = (a ^ ROTL(other, 11) ^ ROTL(other, 24)) * 0x85EBCA6Bu;
        }
        state[31] = a;
    }
    if (walker < walkers) end[lane] = state[31];
}
