/* Blocks of LANES lanes, each through all steps. A short block repeats the last patient. */
#include <stdlib.h>

#define LANES (W * U)
#define SOME(n) ((n) ? (n) : 1) /* C has no empty arrays */

/* Rows x[i], x[i + n], ... of the lanes from `first` on, and back. */
static void load_(vd *to, const double *x, int64_t rows, int64_t first, int64_t n) {
    for (int64_t i = 0; i < rows; i++, x += n)
        if (n - first >= LANES) memcpy(to + i * U, x + first, LANES * sizeof(double));
        else for (int k = 0; k < LANES; k++) to[i * U + k / W][k % W] = x[first + k < n ? first + k : n - 1];
}
/* Whole lines go past the caches, which hold what the steps need. */
INLINE void write_(double *to, vd v) {
#if W == 8
    if (!((uintptr_t)to & 63)) { _mm512_stream_pd(to, v); return; }
#endif
    memcpy(to, &v, sizeof v);
}
static void store_(double *x, const vd *from, int64_t rows, int64_t first, int64_t n) {
    for (int64_t i = 0; i < rows; i++, x += n)
        if (n - first >= LANES) for (int u = 0; u < U; u++) write_(x + first + u * W, from[i * U + u]);
        else for (int k = 0; first + k < n; k++) x[first + k] = from[i * U + k / W][k % W];
}
static void spread_(vd *to, double x) {
    for (int u = 0; u < U; u++) to[u] = B(x);
}
static void fence_(void) {
#if W == 8
    _mm_sfence();
#endif
}

/* What is known of steps of tick / 2^k, k up to `deepest`: those of short ones from the polynomial, others by squaring
   what is half as long. times: squarings of the whole tick. */
static void prepare_(double tick, int64_t deepest, int64_t times, const vd *own, vd *table) {
    vd matrix[(1 + SMALL) * U], half[SOME(SMALL) * U], length[2 * U];
    for (int64_t k = deepest; k >= 0; k--) {
        int64_t squares = k < times ? 1 : 0;
        if (k == deepest || k >= times) {
            squares = k < times ? times - k : 0;
            spread_(length, ldexp(tick, -(int)k)), spread_(length + U, ldexp(1.0, -(int)squares));
            small(0, length, own, own, matrix + U);
        }
        for (; squares; squares--) {
            squared(0, matrix + U, own, own, half);
            memcpy(matrix + U, half, SMALL * U * sizeof(vd));
        }
        spread_(matrix, ldexp(tick, -(int)k));
        finished(0, matrix, own, own, table + k * KNOWN * U);
    }
}
/* The forcing of the driven states, found anew. */
static void refresh_(double t, const vd *own, vd *carry) {
    vd state[S * U], forcing[SOME(FIRST) * U];
    for (int i = 0; i < S; i++) memcpy(state + i * U, carry + place[i] * U, U * sizeof(vd));
    begin(t, state, own, own, forcing);
    for (int i = 0; i < FIRST; i++) memcpy(carry + places[i] * U, forcing + i * U, U * sizeof(vd));
}
/* A tick of `count` steps, a power of two, the first halved `halvings` times. from, to: of steps, turn about; returns
   the one that holds the end, with its outputs. */
static vd *tick_(double t, double tick, int64_t count, int64_t halvings, const vd *own, const vd *table, vd *from,
                 vd *to) {
    int base = 63 - __builtin_clzll((unsigned long long)count);
    for (int64_t i = 0; i < count + halvings; i++) {
        int64_t left = halvings - (i > 1 ? i - 1 : 0);
        int level = base + (int)(left > 0 ? left : 0);
        step(t, from, own, table + level * KNOWN * U, to);
        t += ldexp(tick, -level);
        vd *swap = from;
        from = to, to = swap;
    }
    return from;
}

/* y, ends: (S, n); p: (P, n); jumps: one address an interval, of (S, n) or null; record: (intervals + 1);
   outputs: (recorded, O, n), before the jump of their point; ranges: (2, O, n), their least and largest; errors: (n). */
__attribute__((visibility("default"))) int march(int64_t n, int64_t intervals, int64_t deepest, int64_t times,
    double time, double tick, double norm, const int64_t *counts, const int64_t *halvings, const double *y,
    const double *p, const double *const *jumps, const uint8_t *record, double *ends, double *errors,
    double *outputs, double *ranges) {
    vd *table = aligned_alloc(64, (size_t)(deepest + 1) * KNOWN * U * sizeof(vd));
    if (!table) return 1;
    vd limit[U];
    spread_(limit, norm);
    for (int64_t first = 0; first < n; first += LANES) {
        vd own[PATIENT * U], given[SOME(P) * U], state[S * U], jump[U], found[U];
        vd one[(CARRY + O) * U], other[(CARRY + O) * U], *now = one;
        load_(given, p, P, first, n);
        patient(0, given, given, given, own);
        prepare_(tick, deepest, times, own, table);
        load_(state, y, S, first, n);
        start(time, state, own, limit, now);
        vd low[O * U], high[O * U];
        for (int i = 0; i < O * U; i++) low[i] = B(__builtin_inf()), high[i] = -low[i];
        double *row = outputs;
        for (int64_t k = 0;; k++) {
            double t = time + k * tick;
            if (record[k]) {
                const vd *seen = now + CARRY * U;
                for (int i = 0; i < O * U; i++) low[i] = min_(low[i], seen[i]), high[i] = max_(high[i], seen[i]);
                store_(row, seen, O, first, n), row += O * n;
            }
            if (k == intervals) break;
            if (jumps[k]) {
                for (int s = 0; s < S; s++) {
                    load_(jump, jumps[k] + s * n, 1, first, n);
                    for (int u = 0; u < U; u++) now[place[s] * U + u] += jump[u];
                }
                refresh_(t, own, now);
            }
            now = tick_(t, tick, counts[k], halvings[k], own, table, now, now == one ? other : one);
        }
        error(0, now, own, own, found);
        store_(errors, found, 1, first, n);
        store_(ranges, low, O, first, n), store_(ranges + O * n, high, O, first, n);
        for (int i = 0; i < S; i++) store_(ends + i * n, now + place[i] * U, 1, first, n);
    }
    fence_();
    free(table);
    return 0;
}
