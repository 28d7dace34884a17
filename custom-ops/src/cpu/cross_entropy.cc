// Mean cross entropy of logits against labels, and its gradient, without the matrix of probabilities.
#include <cmath>

#include "../problem.h"
#include "parallel.h"
#include "vector_math.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {
namespace {

template <typename Row>
void forRows(int64_t rows, int64_t classes, const Row &row) {
  const int64_t each = classes < 8192 ? 8192 / classes : 1;
  parallelFor((rows + each - 1) / each, [&](int64_t block) {
    const int64_t end = (block + 1) * each < rows ? (block + 1) * each : rows;
    for (int64_t i = block * each; i < end; ++i) row(i);
  });
}

float logSumExp(const float *x, int64_t n) {
  Vec top = splat(-__builtin_inff());
  for (int64_t i = 0; i + kLanes <= n; i += kLanes) top = maximum(load(x + i), top);
  float m = largest(top);
  for (int64_t i = n / kLanes * kLanes; i < n; ++i) m = x[i] > m ? x[i] : m;
  // A sum over a vocabulary grows long: it is closed every 64 vectors and carried on in double precision.
  double total = 0;
  const int64_t whole = n / kLanes * kLanes;
  for (int64_t i = 0; i < whole;) {
    const int64_t stop = i + 64 * kLanes < whole ? i + 64 * kLanes : whole;
    Vec part{};
    for (; i < stop; i += kLanes) part += expVec(load(x + i) - m);
    total += sum(part);
  }
  for (int64_t i = whole; i < n; ++i) total += ::exp(static_cast<double>(x[i]) - m);
  return static_cast<float>(m + ::log(total));
}

int64_t counted(const int32_t *labels, int64_t rows, int32_t ignore) {
  int64_t count = 0;
  for (int64_t i = 0; i < rows; ++i) count += labels[i] != ignore;
  return count;
}

}  // namespace

void crossEntropy(const EntropyForward &p) {
  forRows(p.rows, p.classes, [&](int64_t row) { p.logSumExp[row] = logSumExp(p.logits + row * p.classes, p.classes); });
  double loss = 0;
  for (int64_t i = 0; i < p.rows; ++i)
    if (p.labels[i] != p.ignore) loss += static_cast<double>(p.logSumExp[i]) - p.logits[i * p.classes + p.labels[i]];
  const int64_t count = counted(p.labels, p.rows, p.ignore);
  *p.loss = count ? static_cast<float>(loss / static_cast<double>(count)) : 0.0f;
}

void crossEntropyGrad(const EntropyBackward &p) {
  const int64_t count = counted(p.labels, p.rows, p.ignore);
  const float scale = count ? *p.dLoss / static_cast<float>(count) : 0.0f;
  forRows(p.rows, p.classes, [&](int64_t row) {
    float *to = p.dLogits + row * p.classes;
    if (p.labels[row] == p.ignore) {
      std::memset(to, 0, p.classes * sizeof(float));
      return;
    }
    const float *x = p.logits + row * p.classes;
    for (int64_t c = 0; c < p.classes; c += kLanes) {
      const int64_t n = p.classes - c;
      storeFirst(to + c, expVec(loadFirst(x + c, n) - p.logSumExp[row]) * scale, n);
    }
    // p - 1 in one go: where p is close to 1 the difference of rounded numbers would be noise.
    const int32_t label = p.labels[row];
    to[label] = static_cast<float>(::expm1(static_cast<double>(x[label]) - p.logSumExp[row])) * scale;
  });
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
