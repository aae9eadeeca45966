// Matrices: made from their streams, and multiplied exactly.
//
// A lies by rows. B lies by fours of rows: word j of row k of `b` holds the bytes B[4k][j] … B[4k + 3][j], so that the
// dot product of a word of A and a word of B is four products of the sum. Sums are i32.

// Rows of A: row r of `a` is row `rows[first + r]` of the matrix. An item makes 64 bytes.
KERNEL(64) void make_a(GLOBAL u32 *a, GLOBAL const u32 *rows, u32 first, u32 log_blocks, u32 total, KEY) {
    const u32 g = GLOBAL_ITEM;
    if (g >= total) return;
    u32 x[16] = CHACHA_INPUT(g & ((1u << log_blocks) - 1), rows[first + (g >> log_blocks)], 0, ROWA);
    permute(x, STREAM_ROUNDS);
    store16(a + (size_t)g * 16, x);
}

INLINE u32 column(u32 w0, u32 w1, u32 w2, u32 w3, u32 shift) {
    return ((w0 >> shift) & 255) | ((w1 >> shift) & 255) << 8 | ((w2 >> shift) & 255) << 16 | (w3 >> shift) << 24;
}

// All of B. An item makes 64 columns of four rows.
KERNEL(64) void make_b(GLOBAL u32 *b, u32 log_blocks, u32 total, KEY) {
    const u32 g = GLOBAL_ITEM;
    if (g >= total) return;
    const u32 block = g & ((1u << log_blocks) - 1);
    const u32 row = (g >> log_blocks) * 4;
    u32 w0[16] = CHACHA_INPUT(block, row, 0, ROWB);
    u32 w1[16] = CHACHA_INPUT(block, row + 1, 0, ROWB);
    u32 w2[16] = CHACHA_INPUT(block, row + 2, 0, ROWB);
    u32 w3[16] = CHACHA_INPUT(block, row + 3, 0, ROWB);
    permute(w0, STREAM_ROUNDS);
    permute(w1, STREAM_ROUNDS);
    permute(w2, STREAM_ROUNDS);
    permute(w3, STREAM_ROUNDS);
    GLOBAL uint4 *to = (GLOBAL uint4 *)(b + (size_t)g * 64);
    UNROLL
    for (u32 i = 0; i < 16; i++) {
        uint4 four;
        four.x = column(w0[i], w1[i], w2[i], w3[i], 0);
        four.y = column(w0[i], w1[i], w2[i], w3[i], 8);
        four.z = column(w0[i], w1[i], w2[i], w3[i], 16);
        four.w = column(w0[i], w1[i], w2[i], w3[i], 24);
        to[i] = four;
    }
}

// A group makes 128 × 128 entries, an item 8 × 8 of them: rows 4y … 4y + 3 and 64 more, columns likewise.
#define TILE 128
#define TILE_WORDS 16
// Four words more than a tile: where A is turned, neighbors then fall into different banks.
#define A_STRIDE (TILE + 4)

KERNEL(256) void multiply(GLOBAL const u32 *a, GLOBAL const u32 *b, GLOBAL i32 *product, u32 n) {
    // By fours, so that 16 bytes divide their addresses.
    SHARED uint4 a_tile[TILE_WORDS * A_STRIDE / 4];
    SHARED uint4 b_tile[TILE_WORDS * TILE / 4];
    LOCAL u32 *as = (LOCAL u32 *)a_tile;
    LOCAL u32 *bs = (LOCAL u32 *)b_tile;
    const u32 x = (ITEM & 15) * 4;
    const u32 y = (ITEM >> 4) * 4;
    const size_t row = (size_t)GROUP_X * TILE;
    const size_t col = (size_t)GROUP_Y * TILE;
    const u32 words = n / 4;
    i32 sums[8][8];
    UNROLL
    for (u32 i = 0; i < 8; i++) {
        UNROLL
        for (u32 j = 0; j < 8; j++) sums[i][j] = 0;
    }
    for (u32 k = 0; k < words; k += TILE_WORDS) {
        UNROLL
        for (u32 part = 0; part < 2; part++) {
            const u32 at = part * 256 + ITEM;
            const u32 r = at >> 2, w = (at & 3) * 4;
            const uint4 four = *(GLOBAL const uint4 *)(a + (row + r) * words + k + w);
            as[w * A_STRIDE + r] = four.x;
            as[(w + 1) * A_STRIDE + r] = four.y;
            as[(w + 2) * A_STRIDE + r] = four.z;
            as[(w + 3) * A_STRIDE + r] = four.w;
            const u32 kr = at >> 5, c = (at & 31) * 4;
            *(LOCAL uint4 *)(bs + kr * TILE + c) = *(GLOBAL const uint4 *)(b + (size_t)(k + kr) * n + col + c);
        }
        BARRIER;
        UNROLL
        for (u32 w = 0; w < TILE_WORDS; w++) {
            u32 left[8], right[8];
            UNROLL
            for (u32 part = 0; part < 2; part++) {
                const uint4 l = *(LOCAL const uint4 *)(as + w * A_STRIDE + part * 64 + y);
                const uint4 r = *(LOCAL const uint4 *)(bs + w * TILE + part * 64 + x);
                left[part * 4] = l.x;
                left[part * 4 + 1] = l.y;
                left[part * 4 + 2] = l.z;
                left[part * 4 + 3] = l.w;
                right[part * 4] = r.x;
                right[part * 4 + 1] = r.y;
                right[part * 4 + 2] = r.z;
                right[part * 4 + 3] = r.w;
            }
            UNROLL
            for (u32 i = 0; i < 8; i++) {
                UNROLL
                for (u32 j = 0; j < 8; j++) sums[i][j] = DOT(left[i], right[j], sums[i][j]);
            }
        }
        BARRIER;
    }
    UNROLL
    for (u32 i = 0; i < 8; i++) {
        GLOBAL i32 *to = product + (row + y + (i & 3) + (i >> 2) * 64) * n + col + x;
        UNROLL
        for (u32 part = 0; part < 2; part++) {
            int4 four;
            four.x = sums[i][part * 4];
            four.y = sums[i][part * 4 + 1];
            four.z = sums[i][part * 4 + 2];
            four.w = sums[i][part * 4 + 3];
            *(GLOBAL int4 *)(to + part * 64) = four;
        }
    }
}
