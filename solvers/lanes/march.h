/* Blocks of lanes over patients, and the two ways in: ctypes, and XLA's foreign function interface. */
#include <stddef.h>
#include "xla/ffi/api/c_api.h"

enum { L = U * W };

/* Lanes past the last patient repeat him. */
static void load(vd *to, const double *from, int64_t at, int64_t n) {
    if (at + L <= n)
        memcpy(to, from + at, L * sizeof(double));
    else
        for (int64_t i = 0; i < L; i++) ((double *)to)[i] = from[at + i < n ? at + i : n - 1];
}
static void store(double *to, const vd *from, int64_t at, int64_t n) {
    memcpy(to + at, from, (at + L <= n ? L : n - at) * sizeof(double));
}

typedef struct {
    double h;
    vd a[TABLEAU];
} Scaled; /* the tableau times a step, kept for the next step of its length */

/* One interval: `count` equal steps, the first halved `halving` times towards its start, as `steps` of
   solvers/explicit.py. Returns the time. */
static double interval(double t, double length, int64_t count, int64_t halving, const double *floors, const vd *q,
                       vd *state, vd *slope, vd *errors, Scaled *scaled TABLED(, const Tables *g)) {
    double whole = length / (double)count;
    for (int64_t i = 0, run; i < count + halving; i += run) {
        run = !halving ? count : i <= halving ? 1 : count - 1;
        double h = whole;
        for (int64_t j = i > 1 ? i - 1 : 0; j < halving; j++) h *= 0.5;
        if (h != scaled->h) {
            scaled->h = h;
            for (int j = 0; j < TABLEAU; j++) scaled->a[j] = B(h * tableau[j]);
        }
        t = step(t, h, run, scaled->a, floors, q, state, slope, errors TABLED(, g));
    }
    return t;
}
/* A nan or an infinity anywhere makes the error a nan. */
static void judge(const vd *state, const vd *slope, vd *errors) {
    for (int s = 0; s < S; s++)
        for (int u = 0; u < U; u++) errors[u] += 0.0 * (state[s * U + u] + slope[s * U + u]);
}

/* A block's part of `rows` rows of n is soon wanted: a cold row costs as much as a step. */
INLINE void hint(const double *from, int64_t at, int64_t n, int rows) {
    for (int i = 0; i < rows; i++)
        for (int lane = 0; lane < L; lane += 8) __builtin_prefetch(from + i * n + at + lane, 1);
}

/* y, to: (S, n); p: (P, n); tables: the rows of all, each (n), one after another; jumps: null, or one address an interval, of (S, n) or null; record: (intervals + 1);
   outputs: (recorded, O, n), before the jump of their point; ranges: (2, O, n), their least and largest; error: (n). */
__attribute__((visibility("default"))) void march(
    int64_t n, int64_t intervals, double time, const double *y, const double *p, const double *tables,
    const int64_t *counts, const int64_t *halvings, const double *lengths, const double *floors, const double *const *jumps,
    const uint8_t *record, double *to, double *error, double *outputs, double *ranges) {
    Scaled scaled = {0};
    Tables given_tables = {.n = n}, *g = &given_tables;
    for (int j = 0; j < T; tables += lengths_of[j++] * n) g->from[j] = tables, g->row[j] = n, g->lane[j] = 1;
    for (int64_t at = 0; at < n; at += L) {
        g->at = at;
        vd state[S * U], slope[S * U] = {0}, errors[U] = {0}, jump[U];
        vd given[SOME(P) * U], q[SOME(Q) * U], out[SOME(O) * U];
        vd low[SOME(O) * U], high[SOME(O) * U];
        for (int j = 0; j < O * U; j++) low[j] = B(__builtin_inf()), high[j] = -low[j];
        for (int s = 0; s < S; s++) load(state + s * U, y + s * n, at, n);
        for (int j = 0; j < P; j++) load(given + j * U, p + j * n, at, n);
        prepare(given, q);
        double t = time, reached = time, *row = outputs;
        int fresh = 1;
        for (int64_t k = 0; k <= intervals; k++) {
            if (record[k]) {
                seen(t, state, q, out TABLED(, g));
                for (int j = 0; j < O; j++, row += n) store(row, out + j * U, at, n);
                for (int j = 0; j < O * U; j++) low[j] = min_(low[j], out[j]), high[j] = max_(high[j], out[j]);
                hint(row, at, n, O);
            }
            if (k == intervals) break;
            if (jumps && k + 1 < intervals && jumps[k + 1]) hint(jumps[k + 1], at, n, S);
            if (jumps && jumps[k])
                for (int s = 0; s < S; s++) {
                    load(jump, jumps[k] + s * n, at, n);
                    for (int u = 0; u < U; u++)
                        if (any_(ne_(jump[u], ZERO_))) fresh = 1, state[s * U + u] += jump[u];
                }
            /* the last slopes are the first ones, bit for bit, unless rounding left their time elsewhere */
            if (!AUTONOMOUS && t != reached) fresh = 1;
            if (fresh) begin(t, state, q, slope TABLED(, g));
            reached = interval(t, lengths[k], counts[k], halvings[k], floors, q, state, slope, errors,
                               &scaled TABLED(, g));
            fresh = 0;
            t += lengths[k];
        }
        judge(state, slope, errors);
        for (int s = 0; s < S; s++) store(to + s * n, state + s * U, at, n);
        for (int j = 0; j < O; j++)
            store(ranges + j * n, low + j * U, at, n), store(ranges + (O + j) * n, high + j * U, at, n);
        store(error, errors, at, n);
    }
}

static XLA_FFI_Error *refuse(const XLA_FFI_Api *api, const char *message) {
    XLA_FFI_Error_Create_Args args = {XLA_FFI_Error_Create_Args_STRUCT_SIZE, NULL, message,
                                      XLA_FFI_Error_Code_INVALID_ARGUMENT};
    return api->XLA_FFI_Error_Create(&args);
}
static const double *buffer(const void *held) { return ((const XLA_FFI_Buffer *)held)->data; }

/* One interval. Operands, each (n): time, length, count, halving as float64, S states, P parameters, T tables (n, length); results: S states,
   the error; attribute: floors (S). Patients that stand beside each other with one mesh share blocks. */
__attribute__((visibility("default"))) XLA_FFI_Error *advance(XLA_FFI_CallFrame *frame) {
    if (frame->extension_start && frame->extension_start->type == XLA_FFI_Extension_Metadata) {
        XLA_FFI_Metadata *metadata = ((XLA_FFI_Metadata_Extension *)frame->extension_start)->metadata;
        metadata->api_version.major_version = XLA_FFI_API_MAJOR;
        metadata->api_version.minor_version = XLA_FFI_API_MINOR;
        return NULL;
    }
    if (frame->args.size != 4 + S + P + T || frame->rets.size != S + 1 || frame->attrs.size != 1)
        return refuse(frame->api, "advance: wrong number of operands, results or attributes");
    for (int i = 0; i < 4 + S + P + T; i++)
        if (((const XLA_FFI_Buffer *)frame->args.args[i])->dtype != XLA_FFI_DataType_F64)
            return refuse(frame->api, "advance: operands must be float64");
    const XLA_FFI_Array *array = frame->attrs.attrs[0];
    if (frame->attrs.types[0] != XLA_FFI_AttrType_ARRAY || array->dtype != XLA_FFI_DataType_F64 || array->size != S)
        return refuse(frame->api, "advance: floors must be float64, one a state");
    const double *mesh[4], *floors = array->data;
    for (int i = 0; i < 4; i++) mesh[i] = buffer(frame->args.args[i]);
    const XLA_FFI_Buffer *first = frame->args.args[0];
    int64_t n = 1;
    Scaled scaled = {0};
    Tables given_tables, *g = &given_tables;
    for (int j = 0; j < T; j++)
        g->from[j] = buffer(frame->args.args[4 + S + P + j]), g->row[j] = 1, g->lane[j] = lengths_of[j];
    for (int64_t i = 0; i < first->rank; i++) n *= first->dims[i];
    for (int64_t from = 0, next; from < n; from = next) {
        for (next = from + 1; next < n; next++)
            if (mesh[0][next] != mesh[0][from] || mesh[1][next] != mesh[1][from] || mesh[2][next] != mesh[2][from] ||
                mesh[3][next] != mesh[3][from])
                break;
        for (int64_t at = from; at < next; at += L) {
            vd state[S * U], slope[S * U] = {0}, errors[U] = {0}, given[SOME(P) * U], q[SOME(Q) * U];
            for (int s = 0; s < S; s++) load(state + s * U, buffer(frame->args.args[4 + s]), at, next);
            for (int j = 0; j < P; j++) load(given + j * U, buffer(frame->args.args[4 + S + j]), at, next);
            prepare(given, q);
            g->at = at, g->n = next;
            begin(mesh[0][from], state, q, slope TABLED(, g));
            interval(mesh[0][from], mesh[1][from], (int64_t)mesh[2][from], (int64_t)mesh[3][from], floors, q, state,
                     slope, errors, &scaled TABLED(, g));
            judge(state, slope, errors);
            for (int s = 0; s < S; s++)
                store(((XLA_FFI_Buffer *)frame->rets.rets[s])->data, state + s * U, at, next);
            store(((XLA_FFI_Buffer *)frame->rets.rets[S])->data, errors, at, next);
        }
    }
    return NULL;
}
