// The most multiply-adds a second that one core can do: independent chains in registers, no memory. Prints GFLOP/s in
// float32 and, where the processor has it, in bfloat16; an argument is the number of threads.
#include <immintrin.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#if defined(__AVX512F__)
using Vector = __m512;
static Vector Fma(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
#else
using Vector = __m256;
static Vector Fma(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
#endif

// A compiler that could see that all chains hold the same value would compute but one of them.
template <typename T>
static void Opaque(T& value) {
  asm volatile("" : "+v"(value));
}

constexpr int kChains = 12, kRounds = 20000000;

static double Float32() {
  Vector sums[kChains] = {}, factor = {};
  for (int round = 0; round < kRounds; ++round)
    for (Vector& sum : sums) Opaque(sum = Fma(factor, factor, sum));
  return 2.0 * kChains * kRounds * sizeof(Vector) / sizeof(float);
}

#if defined(__AVX512BF16__)
static double Bfloat16() {
  __m512 sums[kChains] = {};
  __m512bh factor = {};
  for (int round = 0; round < kRounds; ++round)
    for (__m512& sum : sums) Opaque(sum = _mm512_dpbf16_ps(sum, factor, factor));
  return 2.0 * kChains * kRounds * 32;
}
#endif

static double GigaflopsOf(double (*work)(), int threads) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<double> done(threads);
  std::vector<std::thread> pool;
  for (double& one : done) pool.emplace_back([&one, work] { one = work(); });
  double total = 0;
  for (int i = 0; i < threads; ++i) {
    pool[i].join();
    total += done[i];
  }
  return total / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / 1e9;
}

int main(int, char** arguments) {
  const int threads = std::atoi(arguments[1]);
  std::printf("%f", GigaflopsOf(Float32, threads));
#if defined(__AVX512BF16__)
  std::printf(" %f", GigaflopsOf(Bfloat16, threads));
#endif
  std::printf("\n");
}
