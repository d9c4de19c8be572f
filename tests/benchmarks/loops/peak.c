/* Fused multiply-adds as fast as one core does them: enough independent chains to hide their latency. */
typedef double vd __attribute__((vector_size(64)));
enum { CHAINS = 16 };
double peak(long rounds) {
    vd a[CHAINS];
    for (int i = 0; i < CHAINS; i++)
        for (int j = 0; j < 8; j++) a[i][j] = 1e-3 * (i + j);
    for (long k = 0; k < rounds; k++)
        for (int i = 0; i < CHAINS; i++) a[i] = a[i] * 0.999999 + 1e-6;
    double sum = 0;
    for (int i = 0; i < CHAINS; i++)
        for (int j = 0; j < 8; j++) sum += a[i][j];
    return sum;
}
