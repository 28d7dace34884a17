// Random weights, bit for bit those of src/draw.ts, which says what they are: four generators xoshiro128** side by side give a word each
// in turn. A step of theirs is linear over bits, so the state that they have come to after any number of steps is a product by a matrix of
// bits: the numbers are cut into pieces of one length, whose generators run side by side as well, in the lanes of a vector and on
// threads. No product may be fused with a sum here, which would round once where src/draw.ts rounds twice: CMakeLists.txt sees to it.
#include "../problem.h"
#include "parallel.h"
#include "simd.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {
namespace {

typedef uint32_t Words __attribute__((vector_size(kLanes * 4)));

constexpr int64_t kSteps = 1 << 13;  // of the generators in a piece
constexpr int64_t kPiece = 4 * kSteps;
constexpr int kPieces = kLanes / 4;  // side by side

template <typename T>
SIMD_INLINE T rotate(T x, int by) {
  return x << by | x >> (32 - by);
}

// The next words of generators; T is a word or a vector of them.
template <typename T>
SIMD_INLINE T next(T *s) {
  const T rotated = rotate((s[1] << 2) + s[1], 7), shifted = s[1] << 9;
  s[2] ^= s[0], s[3] ^= s[1], s[1] ^= s[2], s[0] ^= s[3];
  s[2] ^= shifted, s[3] = rotate(s[3], 11);
  return (rotated << 3) + rotated;
}

// What the steps of a piece make of each bit of a state.
struct Jump {
  uint32_t of[128][4];

  Jump() {
    for (int bit = 0; bit < 128; ++bit) {
      uint32_t *state = of[bit];
      for (int word = 0; word < 4; ++word) state[word] = bit / 32 == word ? 1u << bit % 32 : 0;
      next(state);
    }
    for (int64_t steps = 1; steps < kSteps; steps *= 2) {
      const Jump half = *this;
      for (auto &state : of) half.apply(state, state);
    }
  }

  void apply(const uint32_t *from, uint32_t *to) const {
    uint32_t sum[4] = {};
    for (int bit = 0; bit < 128; ++bit)
      for (int word = 0; word < 4; ++word) sum[word] ^= (0 - (from[bit / 32] >> bit % 32 & 1)) & of[bit][word];
    std::memcpy(to, sum, sizeof(sum));
  }
};

SIMD_INLINE Vec uniformOf(Words word, float low, float scale) {
  return low + scale * (__builtin_convertvector((IVec)(word >> 9), Vec) + 0.5f);
}

// Four floats each from where the lanes `first`, `first + 4`, … of `at` say; by way of memory it would take twice as long.
SIMD_INLINE Vec loadFours(const float *table, const int32_t *at, int first) {
  const float *const from = table + at[first];
#if defined(__AVX512F__)
  const __m512 one = _mm512_insertf32x4(_mm512_castps128_ps512(_mm_loadu_ps(from)), _mm_loadu_ps(table + at[first + 4]), 1);
  const __m512 two = _mm512_insertf32x4(one, _mm_loadu_ps(table + at[first + 8]), 2);
  return (Vec)_mm512_insertf32x4(two, _mm_loadu_ps(table + at[first + 12]), 3);
#elif defined(__AVX2__)
  return (Vec)_mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(from)), _mm_loadu_ps(table + at[first + 4]), 1);
#else
  return load(from);
#endif
}

// By the cubics of src/normal.ts.
SIMD_INLINE Vec normalOf(Words word, const float *table) {
  constexpr int kFirst = 127 * 8;  // which cubic would be the first: that of the float32 number 1
  constexpr IVec kFour = kLane & ~3, kPair = kLane & 1, kUpper = kLane >> 1 & 1;
  constexpr IVec kLow = kFour + kUpper + kPair * kLanes, kHigh = kLow + 2;           // a0 b0 a1 b1, a2 b2 a3 b3
  constexpr IVec kFirsts = kFour + kPair + kUpper * kLanes, kSeconds = kFirsts + 2;  // a0 a1 b0 b1, a2 a3 b2 b3
  const IVec bits = asInt(__builtin_convertvector((IVec)((word & 0x7fffffff) | 1), Vec));
  const IVec part = 4 * ((bits >> 20) - kFirst);
  int32_t at[kLanes];
  std::memcpy(at, &part, sizeof(at));
  Vec row[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) row[i] = loadFours(table, at, i);
  const Vec low01 = __builtin_shuffle(row[0], row[1], kLow), low23 = __builtin_shuffle(row[2], row[3], kLow);
  const Vec high01 = __builtin_shuffle(row[0], row[1], kHigh), high23 = __builtin_shuffle(row[2], row[3], kHigh);
  const Vec t = __builtin_convertvector(bits & 0xfffff, Vec);
  Vec y = __builtin_shuffle(high01, high23, kSeconds) * t + __builtin_shuffle(high01, high23, kFirsts);
  y = y * t + __builtin_shuffle(low01, low23, kSeconds);
  y = y * t + __builtin_shuffle(low01, low23, kFirsts);
  return (Vec)((Words)y ^ (word & 0x80000000));
}

// Neighbouring pieces, from the numbers on that `values` points to; `states` are those that they start from.
template <typename Number>
void drawPieces(const uint32_t *states, float *values, int64_t count, const Number &number) {
  Words state[4];
  for (int word = 0; word < 4; ++word)
    for (int lane = 0; lane < kLanes; ++lane) state[word][lane] = states[16 * (lane / 4) + 4 * word + lane % 4];
  // Steps in which every piece gets four numbers.
  const int64_t last = count - (kPieces - 1) * kPiece;
  const int64_t whole = last <= 0 ? 0 : last < kPiece ? last / 4 : kSteps;
  int64_t step = 0;
  for (; step < whole; ++step) {
    const Vec drawn = number(next(state));
#pragma GCC unroll 4
    for (int g = 0; g < kPieces; ++g)
      std::memcpy(values + g * kPiece + 4 * step, reinterpret_cast<const float *>(&drawn) + 4 * g, 4 * sizeof(float));
  }
  for (; step < kSteps && 4 * step < count; ++step) {
    float drawn[kLanes];
    store(drawn, number(next(state)));
    for (int lane = 0; lane < kLanes; ++lane) {
      const int64_t at = lane / 4 * kPiece + 4 * step + lane % 4;
      if (at < count) values[at] = drawn[lane];
    }
  }
}

}  // namespace

void draw(const Draw &p) {
  if (p.size == 0) return;
  static const Jump jump;
  const int64_t tasks = (p.size + kPieces * kPiece - 1) / (kPieces * kPiece);
  // Word 4 i + j of a state is word i of generator j.
  Scratch scratch(16 * kPieces * tasks);
  uint32_t *states = reinterpret_cast<uint32_t *>(scratch.take(16 * kPieces * tasks));
  std::memcpy(states, p.state, sizeof(p.state));
  for (int64_t piece = 1; piece < kPieces * tasks; ++piece)
    for (int generator = 0; generator < 4; ++generator) {
      uint32_t state[4];
      for (int word = 0; word < 4; ++word) state[word] = states[16 * (piece - 1) + 4 * word + generator];
      jump.apply(state, state);
      for (int word = 0; word < 4; ++word) states[16 * piece + 4 * word + generator] = state[word];
    }
  parallelFor(tasks, [&](int64_t task) {
    const int64_t at = kPieces * kPiece * task;
    const auto pieces = [&](const auto &number) { drawPieces(states + 16 * kPieces * task, p.values + at, p.size - at, number); };
    if (p.table)
      pieces([&](Words word) { return normalOf(word, p.table); });
    else
      pieces([&](Words word) { return uniformOf(word, p.low, p.scale); });
  });
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
