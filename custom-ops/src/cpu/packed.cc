// Products of a few rows with packed rows, for decoding, and such rows as floats. Packed are 8-bit integers with a scale for
// each 32, or bfloat16. Either is widened as it is read, in the order in which it lies, and multiplied as floats: as fast as the
// memory gives it, so that nothing is gained by rounding x to integers too (bench/NOTES.md).
#include "../problem.h"
#include "fold.h"
#include "parallel.h"
#include "simd.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {
namespace {

constexpr int kGroup = 32;  // integers with one scale

typedef uint16_t Halves __attribute__((vector_size(kLanes * 2)));

// GCC 12 would widen bytes one by one.
SIMD_INLINE Vec widen(const int8_t *p) {
#if defined(__AVX512F__)
  const IVec integers = (IVec)_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p)));
#elif defined(__AVX2__)
  const IVec integers = (IVec)_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(p)));
#else
  const IVec integers = {p[0], p[1], p[2], p[3]};
#endif
  return __builtin_convertvector(integers, Vec);
}

// bfloat16 is the upper half of a float.
SIMD_INLINE Vec widen(const uint16_t *p) {
  Halves halves;
  std::memcpy(&halves, p, sizeof halves);
  return asFloat(__builtin_convertvector(halves, IVec) << 16);
}

// The terms of one output, a sum for each lane.
SIMD_INLINE Vec terms(const int8_t *w, const float *scales, int64_t in, const float *x) {
  const auto group = [&](int64_t g) {
    const int8_t *at = w + g * kGroup;
    Vec sum = widen(at) * load(x + g * kGroup);
#pragma GCC unroll 8
    for (int i = kLanes; i < kGroup; i += kLanes) sum += widen(at + i) * load(x + g * kGroup + i);
    return sum * scales[g];
  };
  Vec even{}, odd{};
  int64_t g = 0;
  for (; g + 2 <= in / kGroup; g += 2) even += group(g), odd += group(g + 1);
  return g < in / kGroup ? even + odd + group(g) : even + odd;
}

SIMD_INLINE Vec terms(const uint16_t *w, const float *, int64_t in, const float *x) {
  Vec sums[4] = {};
  int64_t i = 0;
  for (; i + 4 * kLanes <= in; i += 4 * kLanes)
    for (int j = 0; j < 4; ++j) sums[j] += widen(w + i + j * kLanes) * load(x + i + j * kLanes);
  for (; i + kLanes <= in; i += kLanes) sums[0] += widen(w + i) * load(x + i);
  if (i < in) {
    uint16_t last[kLanes] = {};
    std::memcpy(last, w + i, (in - i) * sizeof *w);
    sums[1] += widen(last) * loadFirst(x + i, in - i);
  }
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// Outputs [first,first+count), at most a vector of them.
template <typename Packed>
SIMD_INLINE void outputs(const PackedMatVec &p, int64_t first, int64_t count) {
  const auto *w = reinterpret_cast<const Packed *>(p.words);
  for (int64_t r = 0; r < p.rows; ++r) {
    alignas(64) float rows[kLanes * kLanes] = {};
    for (int64_t i = 0; i < count; ++i) {
      const int64_t o = first + i;
      const float *scales = p.scales ? p.scales + o * (p.in / kGroup) : nullptr;
      store(rows + i * kLanes, terms(w + o * p.in, scales, p.in, p.x + r * p.in));
    }
    Vec y = sumEach(rows);
    if (p.bias) y += loadFirst(p.bias + first, count);
    storeFirst(p.y + r * p.out + first, y, count);
  }
}

}  // namespace

void packedMatVec(const PackedMatVec &p) {
  constexpr int64_t kPiece = 1 << 15;  // weights a task: fewer are not worth a hand-over
  const int64_t piece = (kPiece / p.in / kLanes + 1) * kLanes;
  parallelFor((p.out + piece - 1) / piece, [&](int64_t task) {
    const int64_t end = (task + 1) * piece < p.out ? (task + 1) * piece : p.out;
    for (int64_t o = task * piece; o < end; o += kLanes) {
      const int64_t count = end - o < kLanes ? end - o : kLanes;
      p.scales ? outputs<int8_t>(p, o, count) : outputs<uint16_t>(p, o, count);
    }
  });
}

void unpackRows(const UnpackRows &p) {
  constexpr int64_t kPiece = 1 << 15;  // values a task, whole groups
  parallelFor((p.size + kPiece - 1) / kPiece, [&](int64_t task) {
    const int64_t begin = task * kPiece, end = begin + kPiece < p.size ? begin + kPiece : p.size;
    if (p.scales) {
      const auto *integers = reinterpret_cast<const int8_t *>(p.words);
      for (int64_t i = begin; i < end; i += kLanes) store(p.y + i, widen(integers + i) * p.scales[i / kGroup]);
      return;
    }
    const auto *halves = reinterpret_cast<const uint16_t *>(p.words);
    int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes) store(p.y + i, widen(halves + i));
    for (; i < end; ++i) {
      const uint32_t bits = static_cast<uint32_t>(halves[i]) << 16;
      std::memcpy(p.y + i, &bits, sizeof bits);
    }
  });
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
