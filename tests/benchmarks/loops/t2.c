/* Task T2: closed-loop circulation, 21 states, 28 parameters; 10 s, seen every 20 ms.
   p: in the order of `enum parameter`, each (n). y: (21, n). outputs: (501, 3, n) of aortic pressure, left ventricular
   volume, heart rate. error: (n). n a multiple of 8. */
#include "tsit5.h"
enum state { ph, vlv, vla, vrv, vra, vao, qao, vsa, vsc, vsv, vvc, vpa, qpa, vpc, vpv, zm, za, zt, zp, hr, rs, S };
enum parameter {
    EmaxL, EminL, EmaxR, EminR, Ea, Rv, Cao, Lao, Rao, Csa, Rsa, Csc, Rsc, Csv, Rsv, Cvc, Rvc, Cpa, Lpa, Rpa, Cpc, Rpc,
    Cpv, Rpv, HR0, G, Pset, Tv, P
};

/* No ends are looked after: no lane of this task leaves |x| < 700. Taylor's series. */
INLINE v8 exp8(v8 x) {
    v8 m = x * 1.4426950408889634 + 6755399441055744.0, n = m - 6755399441055744.0;
    v8 r = x - n * 0.693147180559663 - n * 2.8235290563031577e-13, s = r * 0 + 1.0 / 479001600;
    static const double c[] = {1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720,
                               1.0 / 120,      1.0 / 24,      1.0 / 6,      0.5,         1.0,        1.0};
#pragma GCC unroll 12
    for (int i = 0; i < 12; i++) s = s * r + c[i];
    return (v8)((l8)s + ((l8)m << 52));
}
INLINE v8 cos8(v8 x) {
    v8 m = (x * 0.3183098861837907 - 0.5) + 6755399441055744.0, n = (m - 6755399441055744.0) + 0.5;
    v8 r = x - n * 3.1415926535846666 - n * 5.1266883031679117e-12, z = r * r, s = z * 0 - 1.0 / 121645100408832000.0;
    static const double c[] = {1.0 / 355687428096000, -1.0 / 1307674368000, 1.0 / 6227020800, -1.0 / 39916800,
                               1.0 / 362880,          -1.0 / 5040,          1.0 / 120,        -1.0 / 6};
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) s = s * z + c[i];
    return (v8)((l8)(r + r * z * s) ^ (((l8)m + 1) << 63));
}

/* p holds reciprocals of what only divides: see t2 */
INLINE void slopes(const v8 *y, const v8 *p, v8 *k) {
    v8 ev = exp8(4.0 * (cos8(6.283185307179586 * (y[ph] - 0.19)) - 1.0));
    v8 ea = exp8(9.0 * (cos8(6.283185307179586 * (y[ph] - 0.93)) - 1.0));
    v8 plv = (p[EminL] + (p[EmaxL] - p[EminL]) * ev) * (y[vlv] - 8.0);
    v8 prv = (p[EminR] + (p[EmaxR] - p[EminR]) * ev) * (y[vrv] - 10.0);
    v8 pla = p[Ea] * (0.6 + 0.6 * ea) * (y[vla] - 6.0), pra = p[Ea] * (0.5 + 0.5 * ea) * (y[vra] - 6.0);
    v8 pao = y[vao] * p[Cao], psa = y[vsa] * p[Csa], psc = y[vsc] * p[Csc], psv = y[vsv] * p[Csv];
    v8 pvc = y[vvc] * p[Cvc], ppa = y[vpa] * p[Cpa], ppc = y[vpc] * p[Cpc], ppv = y[vpv] * p[Cpv];
    v8 qm = y[zm] * (pla - plv) * p[Rv], qa = y[za] * (plv - pao) * p[Rv];
    v8 qt = y[zt] * (pra - prv) * p[Rv], qp = y[zp] * (prv - ppa) * p[Rv];
    v8 resistance = p[Rsc] * y[rs];
    v8 qsa = (psa - psc) / (p[Rsa] + 0.3 * resistance), qsc = (psc - psv) / (0.7 * resistance);
    v8 qsv = (psv - pvc) * p[Rsv], qvc = (pvc - pra) * p[Rvc], qpc = (ppc - ppv) * p[Rpc];
    v8 qpv = (ppv - pla) * p[Rpv], drive = 1.0 - p[G] * (psa - p[Pset]);
    k[ph] = y[hr];
    k[vlv] = qm - qa;
    k[vla] = qpv - qm;
    k[vrv] = qt - qp;
    k[vra] = qvc - qt;
    k[vao] = qa - y[qao];
    k[qao] = (pao - psa - p[Rao] * y[qao]) * p[Lao];
    k[vsa] = y[qao] - qsa;
    k[vsc] = qsa - qsc;
    k[vsv] = qsc - qsv;
    k[vvc] = qsv - qvc;
    k[vpa] = qp - y[qpa];
    k[qpa] = (ppa - ppc - p[Rpa] * y[qpa]) * p[Lpa];
    k[vpc] = y[qpa] - qpc;
    k[vpv] = qpc - qpv;
    k[zm] = (1.0 / (1.0 + exp8(plv - pla)) - y[zm]) * p[Tv];
    k[za] = (1.0 / (1.0 + exp8(pao - plv)) - y[za]) * p[Tv];
    k[zt] = (1.0 / (1.0 + exp8(prv - pra)) - y[zt]) * p[Tv];
    k[zp] = (1.0 / (1.0 + exp8(ppa - prv)) - y[zp]) * p[Tv];
    k[hr] = (p[HR0] * drive - y[hr]) * 0.5;
    k[rs] = (drive - y[rs]) * 0.2;
}
STEP(S, slopes)

static const int divides[] = {Rv, Cao, Lao, Csa, Csc, Csv, Rsv, Cvc, Rvc, Cpa, Lpa, Cpc, Rpc, Cpv, Rpv, Tv};

void t2(long n, long steps, const double *start, const double *p, double *outputs, double *error) {
    double h = 0.02 / steps;
    for (long at = 0; at < n; at += LANES) {
        v8 y[S], first[S], q[P], sum = {0};
        for (int s = 0; s < S; s++) y[s] = *(const v8 *)(start + s * n + at);
        for (int j = 0; j < P; j++) q[j] = *(const v8 *)(p + j * n + at);
        for (int j = 0; j < (int)(sizeof divides / sizeof *divides); j++) q[divides[j]] = 1.0 / q[divides[j]];
        slopes(y, q, first);
        for (int point = 0;; point++) {
            double *row = outputs + point * 3 * n + at;
            *(v8 *)row = y[vao] * q[Cao], *(v8 *)(row + n) = y[vlv], *(v8 *)(row + 2 * n) = y[hr];
            if (point == 500) break;
            for (long i = 0; i < steps; i++) sum += step(y, first, q, h);
        }
        *(v8 *)(error + at) = sum;
    }
}
