// Products of a few rows with 8-bit rows, for decoding, and such rows as floats. A word of four integers is a lane: the
// integers are taken out of the lanes by shifts, so that the elements of x are put into that order first, once a call.
#include "../problem.h"
#include "parallel.h"
#include "simd.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {
namespace {

constexpr int kGroup = 32;               // integers with one scale
constexpr int kGroupWords = kGroup / 4;  // words
constexpr int kVector = 4 * kLanes;      // integers in a vector of words

SIMD_INLINE IVec loadWords(const int32_t *p, int64_t n) {
  IVec v{};
  std::memcpy(&v, p, (n < kLanes ? n : kLanes) * sizeof(int32_t));
  return v;
}
SIMD_INLINE IVec loadWords(const int32_t *p) {
  IVec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

// The scale of each lane, of the words from `word` on.
SIMD_INLINE Vec scalesAt(const float *scales, int64_t word, int64_t words) {
  const float *s = scales + word / kGroupWords;
  if (kLanes <= kGroupWords) return splat(s[0]);
  const Vec second = splat(word + kGroupWords < words ? s[1] : 0.0f);
  return kLane < kGroupWords ? splat(s[0]) : second;
}

// x of one row, so that vector k of four holds the integers k of the lanes' words; zero beyond the end.
void inOrder(const float *x, int64_t in, float *to) {
  for (int64_t i = 0; i < in; i += kVector)
    for (int k = 0; k < 4; ++k)
      for (int lane = 0; lane < kLanes; ++lane) {
        const int64_t at = i + 4 * lane + k;
        to[i + k * kLanes + lane] = at < in ? x[at] : 0.0f;
      }
}

// The sum of integers times x for one vector of words.
SIMD_INLINE Vec product(IVec words, const float *x) {
  const Vec a = __builtin_convertvector((words << 24) >> 24, Vec) * load(x);
  const Vec b = __builtin_convertvector((words << 16) >> 24, Vec) * load(x + kLanes);
  const Vec c = __builtin_convertvector((words << 8) >> 24, Vec) * load(x + 2 * kLanes);
  const Vec d = __builtin_convertvector(words >> 24, Vec) * load(x + 3 * kLanes);
  return (a + b) + (c + d);
}

float dot(const int32_t *words, const float *scales, int64_t count, const float *x) {
  Vec sums[2] = {};
  int64_t i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes)
    for (int j = 0; j < 2; ++j) {
      const int64_t at = i + j * kLanes;
      sums[j] += product(loadWords(words + at), x + 4 * at) * scalesAt(scales, at, count);
    }
  for (; i < count; i += kLanes)
    sums[0] += product(loadWords(words + i, count - i), x + 4 * i) * scalesAt(scales, i, count);
  return sum(sums[0] + sums[1]);
}

}  // namespace

void packedMatVec(const PackedMatVec &p) {
  constexpr int64_t kPiece = 1 << 16;  // integers a task
  const int64_t words = p.in / 4, groups = p.in / kGroup, row = (p.in + kVector - 1) / kVector * kVector;
  Scratch scratch(p.rows * row);
  float *xs = scratch.take(p.rows * row);
  for (int64_t r = 0; r < p.rows; ++r) inOrder(p.x + r * p.in, p.in, xs + r * row);
  const int64_t piece = kPiece / p.in + 1;
  parallelFor((p.out + piece - 1) / piece, [&](int64_t task) {
    const int64_t end = (task + 1) * piece < p.out ? (task + 1) * piece : p.out;
    for (int64_t o = task * piece; o < end; ++o)
      for (int64_t r = 0; r < p.rows; ++r)
        p.y[r * p.out + o] =
            dot(p.words + o * words, p.scales + o * groups, words, xs + r * row) + (p.bias ? p.bias[o] : 0.0f);
  });
}

void unpackRows(const UnpackRows &p) {
  constexpr int64_t kPiece = 1 << 10;  // groups a task
  parallelFor((p.groups + kPiece - 1) / kPiece, [&](int64_t task) {
    const int64_t end = (task + 1) * kPiece < p.groups ? (task + 1) * kPiece : p.groups;
    for (int64_t g = task * kPiece; g < end; ++g) {
      int8_t integers[kGroup];
      std::memcpy(integers, p.words + g * kGroupWords, kGroup);
      for (int i = 0; i < kGroup; ++i) p.y[g * kGroup + i] = integers[i] * p.scales[g];
    }
  });
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
