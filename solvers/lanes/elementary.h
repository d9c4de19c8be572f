/* Lanes and their elementary functions: branch-free, no call, no state, so that a lane's bits are its own.
   Polynomials: `python -m solvers.lanes.coefficients`. Every fma is written out and the compiler may form none of its
   own: the same bits wherever a function is inlined. Denormal results of log1p, expm1 and logistic may be off. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#define W 8
#elif defined(__AVX__)
#define W 4
#else
#define W 2
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#define INLINE static inline __attribute__((always_inline))

typedef double vd __attribute__((vector_size(8 * W)));
typedef int64_t vl __attribute__((vector_size(8 * W)));
typedef uint64_t vu __attribute__((vector_size(8 * W)));

INLINE vd B(double x) { return x - (vd){0}; } /* x - 0 keeps a negative zero */
/* Conditions, a bit or a word a lane; & | ^ ~ work on both. */
#if W == 8
typedef __mmask8 vm;
INLINE vm lt_(vd a, vd b) { return _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ); }
INLINE vm le_(vd a, vd b) { return _mm512_cmp_pd_mask(a, b, _CMP_LE_OQ); }
INLINE vm eq_(vd a, vd b) { return _mm512_cmp_pd_mask(a, b, _CMP_EQ_OQ); }
INLINE vm ne_(vd a, vd b) { return _mm512_cmp_pd_mask(a, b, _CMP_NEQ_UQ); }
INLINE vm all_(int64_t whether) { return (vm)-whether; }
INLINE vd bits_(vm m) { return (vd)_mm512_movm_epi64(m); }
INLINE vm from_bits_(vd x) { return _mm512_movepi64_mask((__m512i)x); }
INLINE vd select_(vm m, vd a, vd b) { return _mm512_mask_blend_pd(m, b, a); }
INLINE vd max_(vd a, vd b) { return _mm512_mask_blend_pd(ne_(a, a), _mm512_max_pd(a, b), a); } /* of a nan a nan */
INLINE vd min_(vd a, vd b) { return _mm512_mask_blend_pd(ne_(a, a), _mm512_min_pd(a, b), a); }
INLINE vd fma_(vd a, vd b, vd c) { return _mm512_fmadd_pd(a, b, c); }
INLINE vd fnma_(vd a, vd b, vd c) { return _mm512_fnmadd_pd(a, b, c); }
INLINE vd fms_(vd a, vd b, vd c) { return _mm512_fmsub_pd(a, b, c); }
INLINE vd sqrt_(vd x) { return _mm512_sqrt_pd(x); }
INLINE vd atleast_(vd x, double c) { return _mm512_max_pd(B(c), x); } /* these two hand on a nan */
INLINE vd atmost_(vd x, double c) { return _mm512_min_pd(B(c), x); }
INLINE int any_(vm m) { return m != 0; }
#else
typedef vl vm;
INLINE vm lt_(vd a, vd b) { return (vl)(a < b); }
INLINE vm le_(vd a, vd b) { return (vl)(a <= b); }
INLINE vm eq_(vd a, vd b) { return (vl)(a == b); }
INLINE vm ne_(vd a, vd b) { return (vl)(a != b); }
INLINE vm all_(int64_t whether) { return (vl){0} - whether; }
INLINE vd bits_(vm m) { return (vd)m; }
INLINE vm from_bits_(vd x) { return (vl)x; }
INLINE vd select_(vm m, vd a, vd b) { return (vd)((m & (vl)a) | (~m & (vl)b)); }
INLINE vd max_(vd a, vd b) { return select_(lt_(b, a) | ne_(a, a), a, b); }
INLINE vd min_(vd a, vd b) { return select_(lt_(a, b) | ne_(a, a), a, b); }
INLINE vd atleast_(vd x, double c) { return select_(lt_(x, B(c)), B(c), x); }
INLINE vd atmost_(vd x, double c) { return select_(lt_(B(c), x), B(c), x); }
INLINE int any_(vm m) {
    int64_t any = 0;
    for (int i = 0; i < W; i++) any |= m[i];
    return any != 0;
}
#if W == 4 && defined(__FMA__)
INLINE vd fma_(vd a, vd b, vd c) { return _mm256_fmadd_pd(a, b, c); }
INLINE vd fnma_(vd a, vd b, vd c) { return _mm256_fnmadd_pd(a, b, c); }
INLINE vd fms_(vd a, vd b, vd c) { return _mm256_fmsub_pd(a, b, c); }
#else /* a processor without fma gets a slow one: the reductions below need its exact product */
INLINE vd fma_(vd a, vd b, vd c) {
    vd r;
    for (int i = 0; i < W; i++) r[i] = __builtin_fma(a[i], b[i], c[i]);
    return r;
}
INLINE vd fnma_(vd a, vd b, vd c) { return fma_(-a, b, c); }
INLINE vd fms_(vd a, vd b, vd c) { return fma_(a, b, -c); }
#endif
#if W == 4
INLINE vd sqrt_(vd x) { return _mm256_sqrt_pd(x); }
#else
INLINE vd sqrt_(vd x) {
    for (int i = 0; i < W; i++) x[i] = __builtin_sqrt(x[i]);
    return x;
}
#endif
#endif

#define SIGN ((vl)B(-0.0))
#define MAGIC 6755399441055744.0 /* 1.5 2^52: added to a number it leaves the nearest whole one in the low bits */
#define NAN_ B(__builtin_nan(""))
#define INF_ __builtin_inf()
#define ZERO_ B(0.0)

INLINE vd abs_(vd x) { return (vd)((vl)x & ~SIGN); }
INLINE vd copysign_(vd x, vd s) { return (vd)(((vl)x & ~SIGN) | ((vl)s & SIGN)); }
INLINE vd sign_(vd x) { return select_(lt_(ZERO_, x), B(1.0), select_(lt_(x, ZERO_), B(-1.0), x)); }
INLINE double largest(double a, double b) { return a > b || a != a ? a : b; } /* the same, of one number */
INLINE double least(double a, double b) { return a < b || a != a ? a : b; }
#if W == 8
INLINE vd rint_(vd x) { return _mm512_roundscale_pd(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE vd floor_(vd x) { return _mm512_roundscale_pd(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
INLINE vd ceil_(vd x) { return _mm512_roundscale_pd(x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
INLINE vd trunc_(vd x) { return _mm512_roundscale_pd(x, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
#else
INLINE vd rint_(vd x) { /* to even; beyond 2^52 all are whole */
    vd big = copysign_(B(4503599627370496.0), x);
    return select_(lt_(abs_(x), B(4503599627370496.0)), copysign_((x + big) - big, x), x);
}
INLINE vd floor_(vd x) {
    vd r = rint_(x);
    return select_(lt_(x, r), r - 1.0, r);
}
INLINE vd ceil_(vd x) {
    vd r = rint_(x);
    return select_(lt_(r, x), r + 1.0, r);
}
INLINE vd trunc_(vd x) { return copysign_(floor_(abs_(x)), x); }
#endif
INLINE vd away_(vd x) { /* nearest, halves away from zero */
    vd a = abs_(x), r = floor_(a);
    return copysign_(select_(le_(B(0.5), a - r), r + 1.0, r), x);
}

/* p 2^n for whole |n| < 2^11, gradual underflow included */
INLINE vd scale_(vd p, vd n) {
#if W == 8
    return _mm512_scalef_pd(p, n);
#else
    vd first = fma_(n, B(0.5), B(MAGIC)), second = (n - (first - MAGIC)) + MAGIC;
    vl one = (vl)B(1.0);
    return p * (vd)(((vl)first << 52) + one) * (vd)(((vl)second << 52) + one);
#endif
}

#define LOG2_HIGH 0.693147180559663 /* 41 bits of log 2: whole numbers below 2^12 multiply it exactly */
#define LOG2_LOW 2.8235290563031577e-13

/* (exp(r) - 1 - r) / r^2 on |r| <= log(2)/2, to 3e-18 */
INLINE vd exp_tail(vd r, vd r2) {
    vd r4 = r2 * r2;
    vd a = fma_(r, B(0.16666666666666669), B(0.5000000000000001));
    vd b = fma_(r, B(0.008333333333330063), B(0.04166666666662416));
    vd c = fma_(r, B(0.00019841269863042963), B(0.0013888888917199863));
    vd d = fma_(r, B(2.7557268476553695e-06), B(2.4801521317484083e-05));
    vd e = fma_(r, B(2.5100377619606372e-08), B(2.7620078203806394e-07));
    return fma_(r4, fma_(r4, e, fma_(r2, d, c)), fma_(r2, b, a));
}
/* exp(x + low) for |low| far below an ulp of 700 */
INLINE vd exp_sum(vd x, vd low) {
    x = atmost_(atleast_(x, -746.0), 710.0);
    vd n = fma_(x, B(1.4426950408889634), B(MAGIC)) - MAGIC;
    vd r = fnma_(n, B(LOG2_LOW), fnma_(n, B(LOG2_HIGH), x)) + low;
    vd r2 = r * r;
    return scale_(1.0 + fma_(r2, exp_tail(r, r2), r), n);
}
INLINE vd exp_(vd x) { return exp_sum(x, B(-0.0)); }
INLINE vd exp2_(vd x) {
    x = atmost_(atleast_(x, -1080.0), 1025.0);
    vd n = (x + MAGIC) - MAGIC, f = x - n;
    vd r = fma_(f, B(2.3190468138462996e-17), f * 0.6931471805599453), r2 = r * r;
    return scale_(1.0 + fma_(r2, exp_tail(r, r2), r), n);
}
INLINE vd expm1_below(vd x) { /* x below 710 */
    vd y = atleast_(x, -40.0);
    vd n = fma_(y, B(1.4426950408889634), B(MAGIC)) - MAGIC;
    vd high = fnma_(n, B(LOG2_HIGH), y), low = n * LOG2_LOW, r = high - low, c = (high - r) - low;
    vd r2 = r * r, e = r + fma_(r2, exp_tail(r, r2), fma_(c, r, c));
    vd t = scale_(B(0.5), n); /* half of 2^n, which overflows before the result does */
    return 2.0 * fma_(t, e, t - 0.5);
}
INLINE vd expm1_(vd x) { return expm1_below(atmost_(x, 710.0)); }
INLINE vd logistic_(vd x) { return 1.0 / (1.0 + exp_(-x)); }
INLINE vd tanh_(vd x) { /* -e/(2 + e) with e = exp(-2 |x|) - 1, which no |x| makes large */
    vd a = abs_(x), e = expm1_below(-(a + a)), d = 2.0 + e, over = 1.0 / d, q = -e * over;
    q = fma_(fnma_(q, e - (d - 2.0), fnma_(q, d, -e)), over, q); /* what d and the product lost */
    return copysign_(q, x);
}

/* x = 2^e m with m in [sqrt(1/2), sqrt(2)); sense only for finite x > 0 */
#if W == 8
INLINE vd split_(vd x, vd *m) {
    vd whole = _mm512_getmant_pd(x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero), e = _mm512_getexp_pd(x);
    vm large = le_(B(1.4142135623730951), whole);
    *m = select_(large, 0.5 * whole, whole);
    return select_(large, e + 1.0, e);
}
#else
INLINE vd split_(vd x, vd *m) {
    vm tiny = lt_(x, B(2.2250738585072014e-308));
    x = select_(tiny, x * 18014398509481984.0, x); /* 2^54 */
    vl i = (vl)x - 0x3fe6a09e667f3bcd;             /* bits of sqrt(1/2) */
    *m = (vd)((vl)x - (i & (int64_t)0xfff0000000000000));
    vl e = (vl)((vu)(i + 0x4000000000000000) >> 52);
    return (vd)(e + 0x4338000000000000) - (MAGIC + 1024.0) - select_(tiny, B(54.0), B(0.0));
}
#endif
/* (log((1 + s)/(1 - s)) - 2 s) / s^3, z = s^2, to 3e-16 */
INLINE vd log_tail(vd z) {
    vd z2 = z * z;
    vd a = fma_(z, B(0.3999999999989924), B(0.666666666666667));
    vd b = fma_(z, B(0.2222221111514416), B(0.2857142862609589));
    vd c = fma_(z, B(0.1533167403016786), B(0.18182890556695602));
    return fma_(z2, fma_(z2, fma_(z2, B(0.1461703754879165), c), b), a);
}
/* 0, infinity, and what has no logarithm */
#if W == 8
INLINE vd log_ends(vd x, vd r) { /* by class, from the right: nan, nan, 0, 1, -infinity, infinity, below 0, above */
    return _mm512_fixupimm_pd(r, x, _mm512_set1_epi64(0x03530422), 0);
}
#else
INLINE vd log_ends(vd x, vd r) {
    vm above = lt_(ZERO_, x);
    return select_(above & lt_(x, B(INF_)), r, select_(eq_(x, ZERO_), B(-INF_), select_(above, x, NAN_)));
}
#endif
INLINE vd log_(vd x) { /* the sum as in fdlibm's e_log.c */
    vd m, e = split_(x, &m), f = m - 1.0, s = f / (2.0 + f), z = s * s, half = 0.5 * f * f;
    vd r = fma_(s, fma_(z, log_tail(z), half), e * LOG2_LOW);
    return log_ends(x, fma_(e, B(LOG2_HIGH), -((half - r) - f)));
}
INLINE vd log1p_(vd x) {
    vd u = 1.0 + x, b = u - 1.0, lost = (1.0 - (u - b)) + (x - b), r = log_(u);
    r = select_(lt_(ZERO_, u) & lt_(u, B(INF_)), r + lost / u, r);
    return select_(eq_(x, ZERO_), x, r);
}

/* x^y = exp(y log x), the logarithm in two parts; 4 ulp, and up to 8 where |y log x| is some hundreds */
INLINE vd pow_(vd x, vd y) {
    vd ax = abs_(x), m, e = split_(ax, &m);
    vd f = m - 1.0, d = 2.0 + f, over = 1.0 / d, s = f * over;
    vd rest = (fnma_(s, d, f) - s * (f - (d - 2.0))) * over; /* of s */
    vd z = s * s, high = 2.0 * s, low = fma_(s * z, log_tail(z), 2.0 * rest);
    vd eh = e * LOG2_HIGH, sum = eh + high, b = sum - eh;
    low += ((eh - (sum - b)) + (high - b)) + e * LOG2_LOW;
    vd log_high = sum + low;
    vd log_low = (sum - log_high) + low;
    log_high = log_ends(ax, log_high);
    vd p = y * log_high, p_low = fma_(y, log_low, fms_(y, log_high, p));
    vd r = exp_sum(p, select_(lt_(abs_(p), B(1000.0)), p_low, B(-0.0)));
    r = select_(eq_(y, ZERO_) | eq_(ax, B(1.0)), B(1.0), r);
    vm whole = eq_(rint_(y), y), odd = whole & ne_(rint_(0.5 * y), 0.5 * y);
    vm negative = lt_(copysign_(B(1.0), x), ZERO_);
    r = select_(negative & odd, -r, r);
    r = select_(lt_(x, ZERO_) & lt_(B(-INF_), x) & ~whole, NAN_, r);
    return select_(ne_(x, x) & ne_(y, ZERO_), x, r);
}

/* (sin(r) - r) / r^3 on |r| <= pi/2, z = r^2 */
INLINE vd sin_tail(vd z) {
    vd z2 = z * z, z4 = z2 * z2;
    vd p = fma_(z, B(0.008333333333333316), B(-0.16666666666666666));
    vd q = fma_(z, B(2.7557319219162273e-06), B(-0.00019841269841254971));
    vd s = fma_(z, B(1.6058977304519656e-10), B(-2.5052107616873647e-08));
    vd t = fma_(z, B(2.731441604451164e-15), B(-7.643970043159376e-13));
    return fma_(z4, fma_(z2, t, s), fma_(z2, q, p));
}
/* x - n pi by Cody & Waite, Software Manual for the Elementary Functions, 1980, chapter 8: pi in three numbers, every
   product with what it loses. n: whole or a half. Good to |x| = 2^45; beyond, where neighbouring numbers are hundredths
   of a radian apart, sine and cosine are nan. */
#define BEYOND_PHASE 35184372088832.0
INLINE vd sin_reduced(vd x, vd n) {
    vd product = n * 3.141592653589793, a = x - product; /* exact */
    vd lost = fms_(n, B(3.141592653589793), product), b = a - lost, back = b - a;
    vd lost_b = (a - (b - back)) - (lost + back);
    vd c = n * 1.2246467991473532e-16, lost_c = fms_(n, B(1.2246467991473532e-16), c);
    vd r = b - c, low = ((b - r) - c) + (lost_b - fma_(n, B(-2.9947698097183397e-33), lost_c));
    vd z = r * r, more = fma_(r * z, sin_tail(z), fnma_(0.5 * z, low, low));
    return select_(le_(abs_(x), B(BEYOND_PHASE)), r + more, NAN_);
}
INLINE vd sin_near_(vd x) { /* |x| <= pi/2 */
    vd z = x * x;
    return x + x * z * sin_tail(z);
}
INLINE vd sin_(vd x) {
    vd n = fma_(x, B(0.3183098861837907), B(MAGIC));
    vd r = sin_reduced(x, n - MAGIC);
    return (vd)((vl)r ^ ((vl)n << 63));
}
INLINE vd cos_(vd x) {
    vd n = fma_(abs_(x), B(0.3183098861837907), B(-0.5)) + MAGIC;
    vd r = sin_reduced(abs_(x), (n - MAGIC) + 0.5);
    return (vd)((vl)r ^ (((vl)n + 1) << 63));
}
INLINE vd tan_(vd x) { return sin_(x) / cos_(x); }
