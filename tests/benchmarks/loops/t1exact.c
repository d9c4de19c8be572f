/* Task T1 by the exact method: the compartments by matrix exponentials, the response by collocation at three Gauss
   nodes on the known concentration, with a second rule on 0, 1/2, 1 as the error of a step. Steps of 1, 1/2, ... 1/2^
   DEEPEST h. p: KA CL V2 Q V3 KIN KOUT EC50, each (n). counts, halvings: (168). outputs: (169, 2, n). error: (n).
   n a multiple of 16. */
#include <math.h>
#define LANES 8
#define INLINE static inline __attribute__((always_inline))
typedef double v8 __attribute__((vector_size(8 * LANES), aligned(8)));
typedef long l8 __attribute__((vector_size(8 * LANES), aligned(8)));
enum { BLOCKS = 2, DEEPEST = 6, NODES = 3 };

/* Denominator, factor of the start and of the source: 1, z0, z1, z2, z0 z1, z0 z2, z1 z2, z0 z1 z2. */
static const double NODE[NODES] = {0.1127016653792583, 0.5, 0.8872983346207417};
static const double MAIN[3][8] = {
    {1, 5. / 36, 2. / 9, 5. / 36, 1. / 24, 1. / 60, 1. / 24, 1. / 120},
    {1, -5. / 36, -2. / 9, -5. / 36, 1. / 24, 1. / 60, 1. / 24, -1. / 120},
    {1, 0.10758287072798384, 0, -0.10758287072798378, 1. / 72, -1. / 90, 1. / 72, 0},
};
static const double SECOND[3][8] = {
    {1, 0, 1. / 3, 1. / 6, 0, 0, 1. / 12, 0}, {1, -1. / 6, -1. / 3, 0, 1. / 12, 0, 0, 0}, {1, 0, 0, 0, 0, 0, 0, 0}};

INLINE v8 size(v8 x) { return (v8)((l8)x & 0x7fffffffffffffff); }
INLINE v8 pick(l8 m, v8 a, v8 b) { return (v8)((m & (l8)a) | (~m & (l8)b)); }
INLINE v8 larger(v8 a, v8 b) { return pick((l8)(a > b), a, b); }

INLINE void rule(const double c[3][8], const v8 *z, v8 *found) {
    v8 a = z[0] * z[1], b = z[0] * z[2], d = z[1] * z[2], e = a * z[2], m[8] = {z[0] * 0, z[0], z[1], z[2], a, b, d, e};
    for (int i = 0; i < 3; i++) {
        v8 sum = m[0] + c[i][0];
        _Pragma("GCC unroll 8") for (int j = 1; j < 8; j++) if (c[i][j] != 0) sum += c[i][j] * m[j];
        found[i] = sum;
    }
}
/* A matrix: 00, 10, 11, 12, 20, 21, 22; nothing flows back to the depot. */
INLINE void times(const v8 *a, const v8 *b, v8 *c) {
    v8 r[7] = {a[0] * b[0], a[1] * b[0] + a[2] * b[1] + a[3] * b[4], a[2] * b[2] + a[3] * b[5], a[2] * b[3] + a[3] * b[6],
               a[4] * b[0] + a[5] * b[1] + a[6] * b[4], a[5] * b[2] + a[6] * b[5], a[5] * b[3] + a[6] * b[6]};
    for (int i = 0; i < 7; i++) c[i] = r[i];
}
/* exp(a h) for small a h: Taylor to degree 12 in blocks of four powers. */
static void exponential(const v8 power[5][7], double h, v8 *to) {
    double c[13] = {1};
    for (int k = 1; k < 13; k++) c[k] = c[k - 1] * h / k;
    v8 sum[7], next[7];
    for (int i = 0; i < 7; i++) {
        sum[i] = c[12] * power[4][i];
        for (int k = 8; k < 12; k++) sum[i] += c[k] * power[k - 8][i];
    }
    for (int first = 4; first >= 0; first -= 4) {
        times(power[4], sum, next);
        for (int i = 0; i < 7; i++) {
            for (int k = 0; k < 4; k++) next[i] += c[first + k] * power[k][i];
            sum[i] = next[i];
        }
    }
    for (int i = 0; i < 7; i++) to[i] = sum[i];
}

typedef struct { v8 end[7], row[NODES][3]; } Known;

void t1exact(long n, const long *counts, const long *halvings, const double *p, double *outputs, double *error) {
    static Known known[BLOCKS][DEEPEST + 1];
    int deepest = 0;
    for (int hour = 0; hour < 168; hour++) {
        int depth = halvings[hour] + (int)log2(counts[hour]);
        deepest = depth > deepest ? depth : deepest;
    }
    for (long at = 0; at < n; at += BLOCKS * LANES) {
        v8 x[BLOCKS][3], r[BLOCKS], v[BLOCKS], off[BLOCKS], up[BLOCKS], down[BLOCKS], most[BLOCKS], q[BLOCKS][4];
        for (int b = 0; b < BLOCKS; b++) {
            v8 g[8], power[5][7] = {0}, matrix[4][7];
            for (int j = 0; j < 8; j++) g[j] = *(const v8 *)(p + j * n + at + b * LANES);
            v8 inverse = 1.0 / g[2];
            power[0][0] = power[0][2] = power[0][6] = power[0][0] + 1.0;
            v8 a[7] = {-g[0], g[0], -(g[1] + g[3]) * inverse, g[3] / g[4], (v8){0}, g[3] * inverse, -g[3] / g[4]};
            for (int i = 0; i < 7; i++) power[1][i] = a[i];
            for (int k = 2; k < 5; k++) times(power[k - 1], a, power[k]);
            for (int level = deepest; level >= 0; level--) {
                double h = ldexp(1.0, -level);
                int squares = level == deepest || level >= 4 ? (level < 4 ? 4 - level : 0) : -1;
                for (int j = 0; j < 4; j++) {
                    if (squares >= 0) exponential(power, (j < NODES ? NODE[j] : 1.0) * ldexp(h, -squares), matrix[j]);
                    for (int i = 0; i < (squares < 0 ? 1 : squares); i++) times(matrix[j], matrix[j], matrix[j]);
                }
                Known *k = &known[b][level];
                for (int i = 0; i < 7; i++) k->end[i] = matrix[NODES][i];
                for (int j = 0; j < NODES; j++)
                    k->row[j][0] = matrix[j][1], k->row[j][1] = matrix[j][2], k->row[j][2] = matrix[j][3];
            }
            q[b][0] = g[7] * g[2], q[b][1] = g[6], q[b][2] = g[5], q[b][3] = inverse;
            x[b][0] = x[b][1] = x[b][2] = off[b] = up[b] = (v8){0}, down[b] = off[b] + 1.0;
            r[b] = most[b] = g[5] / g[6], v[b] = g[6];
        }
        for (int hour = 0;; hour++) {
            for (int b = 0; b < BLOCKS; b++) {
                double *row = outputs + hour * 2 * n + at + b * LANES;
                *(v8 *)row = x[b][1] * q[b][3], *(v8 *)(row + n) = r[b];
                __builtin_prefetch(row + 2 * n, 1), __builtin_prefetch(row + 3 * n, 1);
            }
            if (hour == 168) break;
            if (hour % 12 == 0)
                for (int b = 0; b < BLOCKS; b++) x[b][0] += 100.0;
            int base = (int)log2(counts[hour]);
            for (long i = 0; i < counts[hour] + halvings[hour]; i++) {
                long left = halvings[hour] - (i > 1 ? i - 1 : 0);
                int level = base + (left > 0 ? left : 0);
                double h = ldexp(1.0, -level);
                for (int b = 0; b < BLOCKS; b++) {
                    const Known *k = &known[b][level];
                    v8 z[NODES], two[NODES], first[3], second[3], y[3], *w = x[b];
                    for (int j = 0; j < NODES; j++) {
                        v8 amount = k->row[j][0] * w[0] + k->row[j][1] * w[1] + k->row[j][2] * w[2];
                        z[j] = h * q[b][1] * (q[b][0] / (q[b][0] + amount)); /* 1 - c / (EC50 + c) */
                    }
                    y[0] = k->end[0] * w[0];
                    y[1] = k->end[1] * w[0] + k->end[2] * w[1] + k->end[3] * w[2];
                    y[2] = k->end[4] * w[0] + k->end[5] * w[1] + k->end[6] * w[2];
                    v8 last = q[b][1] * (q[b][0] / (q[b][0] + y[1]));
                    two[0] = h * v[b], two[1] = z[1], two[2] = h * last;
                    rule(MAIN, z, first), rule(SECOND, two, second);
                    v8 source = h * q[b][2], one = first[1] * r[b] + first[2] * source;
                    v8 other = second[1] * r[b] + second[2] * source, share = 1.0 / (first[0] * second[0]);
                    r[b] = one * share * second[0];
                    off[b] = size(first[1] * share * second[0]) * off[b] +
                             size((one * second[0] - other * first[0]) * share);
                    most[b] = larger(size(r[b]), most[b]);
                    v8 scale = size(r[b]) + 1e-3 * most[b];
                    l8 more = (l8)(off[b] * down[b] > up[b] * scale);
                    up[b] = pick(more, off[b], up[b]), down[b] = pick(more, scale, down[b]);
                    w[0] = y[0], w[1] = y[1], w[2] = y[2], v[b] = last;
                }
            }
        }
        for (int b = 0; b < BLOCKS; b++) *(v8 *)(error + at + b * LANES) = up[b] / down[b];
    }
}
