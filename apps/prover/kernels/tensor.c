// The product on tensor cores: `multiply` of matmul.c with another inside, and with the same bytes.
//
// A warp makes 64 × 64 entries as 4 × 8 fragments of 16 × 8, 32 bytes of the sum at a time. Which lane holds what follows
// from PTX's page on `mma.m16n8k32`: lane l holds, of A, rows l / 4 and l / 4 + 8, words l % 4 and l % 4 + 4; of B,
// column l / 4 and the same words; of C, the same rows, columns 2 (l % 4) and one more.
// Where there are no tensor cores, the same fragments are multiplied through memory of the group: slowly, for tests.

#if defined(__CUDA_ARCH__)

INLINE u32 shared_address(const void *pointer) {
    u32 address;
    asm("{ .reg .u64 wide; cvta.to.shared.u64 wide, %1; cvt.u32.u64 %0, wide; }" : "=r"(address) : "l"(pointer));
    return address;
}
#define COPY16(to, from) \
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)), "l"(from) : "memory")
#define COPIES_END asm volatile("cp.async.commit_group;" ::: "memory")
// Waits until at most two groups of copies are under way.
#define COPIES_WAIT asm volatile("cp.async.wait_group 2;" ::: "memory")
#define SCRATCH
#define MULTIPLY_FRAGMENTS(c, a, b)                                                                        \
    asm volatile(                                                                                          \
        "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "          \
        "{%0,%1,%2,%3};"                                                                                   \
        : "+r"((c)[0]), "+r"((c)[1]), "+r"((c)[2]), "+r"((c)[3])                                           \
        : "r"((a)[0]), "r"((a)[1]), "r"((a)[2]), "r"((a)[3]), "r"((b)[0]), "r"((b)[1]))

#else

#define COPY16(to, from) *(LOCAL uint4 *)(to) = *(GLOBAL const uint4 *)(from)
#define COPIES_END
#define COPIES_WAIT
#define SCRATCH SHARED u32 scratch[128 * 6];
#define MULTIPLY_FRAGMENTS(c, a, b) multiply_fragments(c, a, b, scratch)

INLINE void multiply_fragments(i32 *c, const u32 *a, const u32 *b, LOCAL u32 *scratch) {
    LOCAL u32 *warp = scratch + (ITEM & ~31u) * 6;
    const u32 lane = ITEM & 31;
    for (u32 i = 0; i < 4; i++) warp[lane * 6 + i] = a[i];
    for (u32 i = 0; i < 2; i++) warp[lane * 6 + 4 + i] = b[i];
    BARRIER;
    for (u32 i = 0; i < 4; i++) {
        const u32 row = lane / 4 + (i / 2) * 8, col = (lane % 4) * 2 + i % 2;
        for (u32 w = 0; w < 8; w++) {
            const u32 left = warp[((row % 8) * 4 + w % 4) * 6 + row / 8 + (w / 4) * 2];
            const u32 right = warp[(col * 4 + w % 4) * 6 + 4 + w / 4];
            c[i] = DOT(left, right, c[i]);
        }
    }
    BARRIER;
}

#endif

// Tiles of 128 × 128 entries and 8 words, in four stages, of which three are on their way. The strides keep 16 bytes
// aligned, and let the 32 lanes of a warp read fragments from 32 banks.
#define STAGES 4
#define WORDS 8
#define LEFT_STRIDE (WORDS + 4)
#define RIGHT_STRIDE (TILE + 8)
#define LEFT_SIZE (TILE * LEFT_STRIDE)
#define RIGHT_SIZE (WORDS * RIGHT_STRIDE)

INLINE void copy_tiles(
    LOCAL u32 *left, LOCAL u32 *right, GLOBAL const u32 *a, GLOBAL const u32 *b, u32 words
) {
    UNROLL
    for (u32 part = 0; part < 2; part++) {
        const u32 at = part * 128 + ITEM;
        const u32 row = at >> 1, word = (at & 1) * 4;
        COPY16(left + row * LEFT_STRIDE + word, a + (size_t)row * words + word);
        const u32 line = at >> 5, col = (at & 31) * 4;
        COPY16(right + line * RIGHT_STRIDE + col, b + (size_t)line * words * 4 + col);
    }
}

KERNEL(128) void multiply_tensor(GLOBAL const u32 *a, GLOBAL const u32 *b, GLOBAL i32 *product, u32 n) {
    SHARED uint4 left_tiles[STAGES * LEFT_SIZE / 4];
    SHARED uint4 right_tiles[STAGES * RIGHT_SIZE / 4];
    SCRATCH
    LOCAL u32 *lefts = (LOCAL u32 *)left_tiles;
    LOCAL u32 *rights = (LOCAL u32 *)right_tiles;
    const u32 words = n / 4;
    const u32 lane = ITEM & 31, warp = ITEM >> 5;
    const u32 row = (warp >> 1) * 64 + lane / 4;
    const u32 col = (warp & 1) * 64;
    a += (size_t)GROUP_X * TILE * words;
    b += (size_t)GROUP_Y * TILE;
    i32 sums[4][8][4];
    UNROLL
    for (u32 i = 0; i < 4; i++) {
        UNROLL
        for (u32 j = 0; j < 8; j++) {
            UNROLL
            for (u32 c = 0; c < 4; c++) sums[i][j][c] = 0;
        }
    }
    const u32 turns = words / WORDS;
    for (u32 stage = 0; stage < STAGES - 1; stage++) {
        copy_tiles(
            lefts + stage * LEFT_SIZE, rights + stage * RIGHT_SIZE, a + stage * WORDS,
            b + (size_t)stage * WORDS * n, words
        );
        COPIES_END;
    }
    NO_UNROLL
    for (u32 turn = 0; turn < turns; turn++) {
        COPIES_WAIT;
        BARRIER;
        LOCAL const u32 *left = lefts + (turn % STAGES) * LEFT_SIZE + row * LEFT_STRIDE + lane % 4;
        LOCAL const u32 *right = rights + (turn % STAGES) * RIGHT_SIZE + (lane % 4) * RIGHT_STRIDE + col + lane / 4;
        u32 as[4][4];
        UNROLL
        for (u32 i = 0; i < 4; i++) {
            as[i][0] = left[i * 16 * LEFT_STRIDE];
            as[i][1] = left[(i * 16 + 8) * LEFT_STRIDE];
            as[i][2] = left[i * 16 * LEFT_STRIDE + 4];
            as[i][3] = left[(i * 16 + 8) * LEFT_STRIDE + 4];
        }
        u32 bs[8][2];
        UNROLL
        for (u32 j = 0; j < 8; j++) {
            bs[j][0] = right[j * 8];
            bs[j][1] = right[4 * RIGHT_STRIDE + j * 8];
        }
        const u32 next = turn + STAGES - 1;
        if (next < turns) {
            copy_tiles(
                lefts + (next % STAGES) * LEFT_SIZE, rights + (next % STAGES) * RIGHT_SIZE, a + next * WORDS,
                b + (size_t)next * WORDS * n, words
            );
        }
        COPIES_END;
        UNROLL
        for (u32 i = 0; i < 4; i++) {
            UNROLL
            for (u32 j = 0; j < 8; j++) MULTIPLY_FRAGMENTS(sums[i][j], as[i], bs[j]);
        }
    }
    GLOBAL i32 *to = product + ((size_t)GROUP_X * TILE + row) * n + (size_t)GROUP_Y * TILE + col + (lane % 4) * 2;
    UNROLL
    for (u32 i = 0; i < 4; i++) {
        UNROLL
        for (u32 j = 0; j < 8; j++) {
            UNROLL
            for (u32 part = 0; part < 2; part++) {
                int2 two;
                two.x = sums[i][j][part * 2];
                two.y = sums[i][j][part * 2 + 1];
                *(GLOBAL int2 *)(to + (size_t)(i * 16 + part * 8) * n + j * 8) = two;
            }
        }
    }
}
