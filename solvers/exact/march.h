/* Blocks of LANES lanes, each through all steps. A short block repeats the last patient. */
#include <stdlib.h>

#define LANES (W * U)

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

/* starts, kinds, doses, slots: of each step: its start, kind, row of jumps (0: none), row of outputs (-1: none), the
   first slot being that of the beginning. lengths, squarings: of each kind. spread: 0 where all patients share the
   jumps, else n. */
__attribute__((visibility("default"))) int march(int64_t n, int64_t steps, int64_t kinds_, double time, double scale,
    double norm, const double *starts, const int64_t *kinds, const int64_t *doses, const int64_t *slots,
    const double *lengths, const int64_t *squarings, int64_t spread, const double *y, const double *p,
    const double *jumps, double *ends, double *errors, double *outputs) {
    vd *table = aligned_alloc(64, (size_t)kinds_ * KNOWN * U * sizeof(vd));
    if (!table) return 1;
    vd limits[2 * U];
    spread_(limits, scale), spread_(limits + U, norm);
    for (int64_t first = 0; first < n; first += LANES) {
        vd own[(PATIENT + 1) * U], given[(S + P + 1) * U];
        vd one[(CARRY + JUMPS + O) * U], other[(CARRY + JUMPS + O) * U], *from = one, *to = other, *swap, found[U];
        load_(given, p, P, first, n);
        patient(0, given, given, given, own);
        for (int64_t k = 0; k < kinds_; k++) {
            vd matrix[(1 + SMALL) * U], half[(1 + SMALL) * U], length[2 * U], *known = table + k * KNOWN * U;
            spread_(length, lengths[k]), spread_(length + U, ldexp(1.0, -(int)squarings[k]));
            memcpy(matrix, length, U * sizeof(vd));
            small(0, length, own, own, matrix + U);
            for (int64_t i = 0; i < squarings[k]; i++) {
                squared(0, matrix + U, own, own, half);
                memcpy(matrix + U, half, SMALL * U * sizeof(vd));
            }
            finished(0, matrix, own, own, known);
            memcpy(known + (KNOWN - 1) * U, length, U * sizeof(vd));
        }
        load_(given, y, S, first, n);
        start(time, given, own, own, to);
        for (int64_t s = 0;; s++) {
            if (slots[s] >= 0) store_(outputs + slots[s] * O * n, to + CARRY * U, O, first, n);
            if (s == steps) break;
            double t = time + starts[s];
            if (doses[s]) {
                const double *row = jumps + doses[s] * JUMPS * (spread ? n : 1);
                if (spread) load_(to + CARRY * U, row, JUMPS, first, n);
                else for (int j = 0; j < JUMPS; j++) spread_(to + (CARRY + j) * U, row[j]);
                jump(t, to, own, own, from);
                swap = from, from = to, to = swap;
            }
            swap = from, from = to, to = swap;
            step(t, from, own, table + kinds[s] * KNOWN * U, to);
        }
        error(0, to, own, limits, found);
        store_(errors, found, 1, first, n);
        for (int i = 0; i < S; i++) store_(ends + i * n, to + place[i] * U, 1, first, n);
    }
#if W == 8
    _mm_sfence();
#endif
    free(table);
    return 0;
}
