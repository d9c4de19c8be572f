/* Task T1: depot, two compartments, indirect response; 14 doses of 100 every 12 h, seen every hour of 168.
   p: KA CL V2 Q V3 KIN KOUT EC50, each (n). outputs: (169, 2, n). error: (n). n a multiple of 16. */
#include "tsit5.h"
enum { S = 4, BLOCKS = 2 }; /* two at a time: their chains of operations overlap */

INLINE void slopes(const v8 *y, const v8 *q, v8 *k) {
    v8 c = y[1] * q[2], back = q[4] * y[2], in = q[0] * y[0];
    k[0] = -in;
    k[1] = in - q[1] * c + back;
    k[2] = q[3] * c - back;
    k[3] = q[5] - q[6] * (q[7] / (q[7] + c)) * y[3];
}
STEP(S, slopes)

void t1(long n, long steps, const double *p, double *outputs, double *error) {
    double h = 1.0 / steps;
    for (long at = 0; at < n; at += BLOCKS * LANES) {
        v8 y[BLOCKS][S], first[BLOCKS][S], q[BLOCKS][8], sum[BLOCKS];
        for (int b = 0; b < BLOCKS; b++) {
            v8 g[8];
            for (int j = 0; j < 8; j++) g[j] = *(const v8 *)(p + j * n + at + b * LANES);
            q[b][0] = g[0], q[b][1] = g[1] + g[3], q[b][2] = 1.0 / g[2], q[b][3] = g[3], q[b][4] = g[3] / g[4];
            q[b][5] = g[5], q[b][6] = g[6], q[b][7] = g[7];
            y[b][0] = y[b][1] = y[b][2] = sum[b] = (v8){0}, y[b][3] = g[5] / g[6];
        }
        for (int hour = 0;; hour++) {
            for (int b = 0; b < BLOCKS; b++) {
                double *row = outputs + hour * 2 * n + at + b * LANES;
                *(v8 *)row = y[b][1] * q[b][2], *(v8 *)(row + n) = y[b][3];
                __builtin_prefetch(row + 2 * n, 1), __builtin_prefetch(row + 3 * n, 1);
            }
            if (hour == 168) break;
            if (hour % 12 == 0)
                for (int b = 0; b < BLOCKS; b++) {
                    y[b][0] += 100.0;
                    slopes(y[b], q[b], first[b]);
                }
            for (long i = 0; i < steps; i++)
                for (int b = 0; b < BLOCKS; b++) sum[b] += step(y[b], first[b], q[b], h);
        }
        for (int b = 0; b < BLOCKS; b++) *(v8 *)(error + at + b * LANES) = sum[b];
    }
}
