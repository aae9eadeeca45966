// ChaCha: the streams that matrices are made of. `permute` in crates/proofs/src/prf.rs is the reference.

#define STREAM_ROUNDS 8

// Labels of streams, and ChaCha's constants.
#define ROWA 0x41574F52u
#define ROWB 0x42574F52u
#define WALK 0x4B4C4157u
#define FILL 0x4C4C4946u

// A key, by value: eight words.
#define KEY u32 key0, u32 key1, u32 key2, u32 key3, u32 key4, u32 key5, u32 key6, u32 key7
#define KEY_WORDS key0, key1, key2, key3, key4, key5, key6, key7
#define CHACHA_INPUT(c, x, y, z) \
    {0x61707865u, 0x3320646Eu, 0x79622D32u, 0x6B206574u, KEY_WORDS, c, x, y, z}

#define QUARTER(a, b, c, d)   \
    a += b;                   \
    d = ROTL(d ^ a, 16);      \
    c += d;                   \
    b = ROTL(b ^ c, 12);      \
    a += b;                   \
    d = ROTL(d ^ a, 8);       \
    c += d;                   \
    b = ROTL(b ^ c, 7);

// An even number of rounds, then what went in is added.
INLINE void permute(u32 *x, u32 rounds) {
    u32 y[16];
    UNROLL
    for (u32 i = 0; i < 16; i++) y[i] = x[i];
    NO_UNROLL
    for (u32 round = 0; round < rounds; round += 2) {
        QUARTER(y[0], y[4], y[8], y[12])
        QUARTER(y[1], y[5], y[9], y[13])
        QUARTER(y[2], y[6], y[10], y[14])
        QUARTER(y[3], y[7], y[11], y[15])
        QUARTER(y[0], y[5], y[10], y[15])
        QUARTER(y[1], y[6], y[11], y[12])
        QUARTER(y[2], y[7], y[8], y[13])
        QUARTER(y[3], y[4], y[9], y[14])
    }
    UNROLL
    for (u32 i = 0; i < 16; i++) x[i] += y[i];
}

// Stores 16 words at an address that 16 bytes divide.
INLINE void store16(GLOBAL u32 *to, const u32 *x) {
    UNROLL
    for (u32 i = 0; i < 16; i += 4) {
        uint4 four;
        four.x = x[i];
        four.y = x[i + 1];
        four.z = x[i + 2];
        four.w = x[i + 3];
        *(GLOBAL uint4 *)(to + i) = four;
    }
}
