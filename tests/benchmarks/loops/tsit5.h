/* Tsitouras 2011, Comput Math Appl 62:770, on eight patients at once. */
#define STAGES 7
static const double A[STAGES][STAGES] = {
    {0},
    {0.161},
    {-0.008480655492356989, 0.335480655492357},
    {2.8971530571054935, -6.359448489975075, 4.3622954328695815},
    {5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525},
    {5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383},
    {0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774},
};
static const double E[STAGES] = {
    -0.001780011052225771, -0.0008164344596567469, 0.007880878010261995, -0.1447110071732629,
    0.5823571654525552,    -0.45808210592918697,   0.015151515151515152,
};
#define LANES 8
#define INLINE static inline __attribute__((always_inline))
typedef double v8 __attribute__((vector_size(8 * LANES), aligned(8)));
typedef long l8 __attribute__((vector_size(8 * LANES), aligned(8)));

INLINE v8 larger(v8 a, v8 b) {
    l8 m = a > b;
    return (v8)((m & (l8)a) | (~m & (l8)b));
}

/* One step; all loops unroll, and h A[i][j] leaves the loop over steps. */
#define STEP(S, slopes)                                                                           \
    INLINE v8 step(v8 *restrict y, v8 *restrict first, const v8 *restrict p, double h) {          \
        v8 k[STAGES][S], z[S], worst = {0};                                                       \
        _Pragma("GCC unroll 32") for (int s = 0; s < S; s++) k[0][s] = first[s];                   \
        _Pragma("GCC unroll 8") for (int i = 1; i < STAGES; i++) {                                 \
            _Pragma("GCC unroll 32") for (int s = 0; s < S; s++) {                                 \
                v8 sum = y[s];                                                                     \
                _Pragma("GCC unroll 8") for (int j = 0; j < i; j++) sum += (h * A[i][j]) * k[j][s]; \
                z[s] = sum;                                                                        \
            }                                                                                      \
            slopes(z, p, k[i]);                                                                    \
        }                                                                                          \
        _Pragma("GCC unroll 32") for (int s = 0; s < S; s++) {                                     \
            v8 gone = {0};                                                                         \
            _Pragma("GCC unroll 8") for (int j = 0; j < STAGES; j++) gone += (h * E[j]) * k[j][s]; \
            worst = larger((v8)((l8)gone & 0x7fffffffffffffff), worst);                            \
            y[s] = z[s];                                                                           \
            first[s] = k[STAGES - 1][s];                                                           \
        }                                                                                          \
        return worst;                                                                              \
    }
