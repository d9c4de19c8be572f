/* Steps of a recurrence, y[i + 1] = turn(i, y[i]), of blocks of lanes, and the way in by XLA's foreign function
   interface. */
#include "xla/ffi/api/c_api.h"

enum { L = U * W };

static XLA_FFI_Error *refuse(const XLA_FFI_Api *api, const char *message) {
    XLA_FFI_Error_Create_Args args = {XLA_FFI_Error_Create_Args_STRUCT_SIZE, NULL, message,
                                      XLA_FFI_Error_Code_INVALID_ARGUMENT};
    return api->XLA_FFI_Error_Create(&args);
}
/* Rows of patients that need not stand side by side become lanes; those past the last repeat him. */
static void gather(vd *to, const double *rows, int width, const int64_t *who, int count) {
    for (int lane = 0; lane < L; lane++) {
        const double *row = rows + who[lane < count ? lane : count - 1] * width;
        for (int j = 0; j < width; j++) ((double *)to)[j * L + lane] = row[j];
    }
}
static void block(const double *y, const double *p, const int64_t *who, int count, int64_t steps, double *to) {
    vd state[S * U], given[SOME(P) * U], q[SOME(Q) * U];
    gather(state, y, S, who, count);
    gather(given, p, P, who, count);
    prepare(given, q);
    for (int64_t i = 0; i < steps; i++) turn((double)i, state, q);
    for (int lane = 0; lane < count; lane++)
        for (int j = 0; j < S; j++) to[who[lane] * S + j] = ((double *)state)[j * L + lane];
}

/* The smallest of the numbers that is at least `from`; infinite where there is none. */
static double next(const double *numbers, int64_t n, double from) {
    double found = INFINITY;
    for (int64_t i = 0; i < n; i++)
        if (numbers[i] >= from && numbers[i] < found) found = numbers[i];
    return found;
}

/* Operands: y (n, S), p (n, P), steps (n); result: y (n, S). Who has no step to take keeps his state. */
__attribute__((visibility("default"))) XLA_FFI_Error *turns(XLA_FFI_CallFrame *frame) {
    if (frame->extension_start && frame->extension_start->type == XLA_FFI_Extension_Metadata) {
        XLA_FFI_Metadata *metadata = ((XLA_FFI_Metadata_Extension *)frame->extension_start)->metadata;
        metadata->api_version.major_version = XLA_FFI_API_MAJOR;
        metadata->api_version.minor_version = XLA_FFI_API_MINOR;
        return NULL;
    }
    if (frame->args.size != 3 || frame->rets.size != 1)
        return refuse(frame->api, "turns: wrong number of operands or results");
    const XLA_FFI_Buffer *given[3], *ret = frame->rets.rets[0];
    for (int i = 0; i < 3; i++) {
        given[i] = frame->args.args[i];
        if (given[i]->dtype != XLA_FFI_DataType_F64) return refuse(frame->api, "turns: operands must be float64");
    }
    const double *y = given[0]->data, *p = given[1]->data, *steps = given[2]->data;
    double *to = ret->data;
    int64_t n = 1, who[L];
    for (int64_t i = 0; i < given[2]->rank; i++) n *= given[2]->dims[i];
    for (int64_t i = 0; i < n; i++)
        if (!(steps[i] >= 1.0)) memcpy(to + i * S, y + i * S, S * sizeof(double));
    /* Those of as many steps together, so that no lane waits for another. */
    for (double many = next(steps, n, 1.0); many < INFINITY; many = next(steps, n, nextafter(many, INFINITY))) {
        int count = 0;
        for (int64_t i = 0; i < n; i++) {
            if (steps[i] == many) who[count++] = i;
            if (count == L || (count && i == n - 1)) {
                block(y, p, who, count, (int64_t)many, to);
                count = 0;
            }
        }
    }
    return NULL;
}
