// A stand-in for cuRAND: the right distributions from a Mersenne twister, and so other values than a GPU's.
#include <cstddef>
#include <cstdint>
#include <random>

struct Generator {
  std::mt19937_64 bits;
  void* stream = nullptr;
};
enum RandomStatus { RANDOM_SUCCESS = 0, RANDOM_LAUNCH_FAILURE = 201 };

extern "C" int emu_is_capturing(void* stream);
extern "C" void emu_count_library_call();

template <class T, class Draw>
static int fill(const Generator* g, T* out, size_t n, Draw draw) {
  if (emu_is_capturing(g->stream)) return RANDOM_LAUNCH_FAILURE;
  emu_count_library_call();
  for (size_t i = 0; i < n; i++) out[i] = static_cast<T>(draw());
  return RANDOM_SUCCESS;
}

static double uniform(Generator* g) { return ((g->bits() >> 11) + 1) * 0x1p-53; }  // (0, 1], as cuRAND has it

template <class Distribution, class T>
static int draw(Generator* g, T* out, size_t n, Distribution distribution) {
  return fill(g, out, n, [&] { return distribution(g->bits); });
}

extern "C" {
int curandCreateGenerator(Generator** g, int) { return *g = new Generator, RANDOM_SUCCESS; }
int curandDestroyGenerator(Generator* g) { return delete g, RANDOM_SUCCESS; }
int curandGetVersion(int* version) { return *version = 10310, RANDOM_SUCCESS; }
int curandSetStream(Generator* g, void* stream) { return g->stream = stream, RANDOM_SUCCESS; }
int curandSetPseudoRandomGeneratorSeed(Generator* g, unsigned long long seed) {
  return g->bits.seed(seed), RANDOM_SUCCESS;
}
int curandSetGeneratorOffset(Generator* g, unsigned long long n) { return g->bits.discard(n), RANDOM_SUCCESS; }
int curandSetGeneratorOrdering(Generator*, int) { return RANDOM_SUCCESS; }

int curandGenerate(Generator* g, unsigned* out, size_t n) { return fill(g, out, n, [&] { return g->bits(); }); }
int curandGenerateLongLong(Generator* g, unsigned long long* out, size_t n) {
  return fill(g, out, n, [&] { return g->bits(); });
}
int curandGenerateUniform(Generator* g, float* out, size_t n) { return fill(g, out, n, [&] { return uniform(g); }); }
int curandGenerateUniformDouble(Generator* g, double* out, size_t n) {
  return fill(g, out, n, [&] { return uniform(g); });
}
int curandGenerateNormal(Generator* g, float* out, size_t n, float mean, float std) {
  return draw(g, out, n, std::normal_distribution<double>(mean, std));
}
int curandGenerateNormalDouble(Generator* g, double* out, size_t n, double mean, double std) {
  return draw(g, out, n, std::normal_distribution<double>(mean, std));
}
int curandGenerateLogNormal(Generator* g, float* out, size_t n, float mean, float std) {
  return draw(g, out, n, std::lognormal_distribution<double>(mean, std));
}
int curandGenerateLogNormalDouble(Generator* g, double* out, size_t n, double mean, double std) {
  return draw(g, out, n, std::lognormal_distribution<double>(mean, std));
}
int curandGeneratePoisson(Generator* g, unsigned* out, size_t n, double mean) {
  return draw(g, out, n, std::poisson_distribution<unsigned>(mean));
}
}
