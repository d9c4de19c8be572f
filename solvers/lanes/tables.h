/* What patients have by the row: the number at a place that is the same for all of them. */
typedef struct {
    const double *from[SOME(T)];
    int64_t row[SOME(T)], lane[SOME(T)]; /* from one place to the next, from one patient to the next */
    int64_t at, n;                       /* the block's first patient; patients past the last repeat him */
} Tables;

/* Of patients that do not stand side by side, or too few: out of the way. */
static __attribute__((noinline)) vd scattered(const double *from, int64_t at, int64_t n, int64_t lane) {
    vd found;
    for (int k = 0; k < W; k++) found[k] = from[(at + k < n ? at + k : n - 1) * lane];
    return found;
}
INLINE vd lookup_(const Tables *g, int table, double place, int u) {
    int64_t i = (int64_t)place, last = lengths_of[table] - 1, lane = g->lane[table], at = g->at + u * W;
    const double *from = g->from[table] + (i < 0 ? 0 : i > last ? last : i) * g->row[table];
    if (lane != 1 || at + W > g->n) return scattered(from, at, g->n, lane);
    vd found;
    memcpy(&found, from + at, sizeof found);
    return found;
}
