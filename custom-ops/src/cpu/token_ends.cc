// The ends of a language model for a token of each row: the ids' rows of the embedding, and after the blocks the norm, the head and
// the likeliest of its logits, so that none of them has to go through JavaScript.
#include "project.h"

#include "parallel.h"
#include "vector_math.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {

void normalizeRow(const float *r, const float *weight, float *y, int64_t width, float epsilon);
void unpackRows(const UnpackRows &p);

void lookUpTokens(const TokenEnds &p) {
  const int64_t width = p.model;
  for (int64_t r = 0; r < p.rows; ++r) {
    float *x = p.x + r * width;
    const int64_t id = p.ids[r];
    if (p.table.floats)
      std::memcpy(x, p.table.floats + id * width, width * sizeof(float));
    else if (p.table.scales)
      unpackRows({width, p.table.words + id * (width / 4), p.table.scales + id * (width / 32), x});
    else
      unpackRows({width, p.table.words + id * (width / 2), nullptr, x});
  }
}

namespace {

constexpr int64_t kPiece = 2048;  // logits of which the largest and the sum are found together

struct Piece {
  float largest;
  double sum;  // of exp(logit - largest)
};

Piece pieceOf(const float *logits, int64_t n) {
  float largest = logits[0];
  Vec most = splat(largest);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) most = maximum(load(logits + i), most);
  for (int k = 0; k < kLanes; ++k) largest = most[k] > largest ? most[k] : largest;
  for (; i < n; ++i) largest = logits[i] > largest ? logits[i] : largest;
  Vec sums{};
  for (i = 0; i < n; i += kLanes) {
    const Vec each = expVec(loadFirst(logits + i, n - i) - largest);
    if (n - i >= kLanes) {
      sums += each;
    } else {
      for (int64_t k = 0; k < n - i; ++k) sums[k] += each[k];
    }
  }
  double sum = 0;
  for (int k = 0; k < kLanes; ++k) sum += sums[k];
  return {largest, sum};
}

// Puts a logit among the `held` largest so far; an equal one that came before it stays before it.
void insert(float *ids, float *values, int64_t &held, int64_t count, int64_t id, float logit) {
  int64_t place = held < count ? held++ : count - 1;
  for (; place > 0 && values[place - 1] < logit; --place) ids[place] = ids[place - 1], values[place] = values[place - 1];
  ids[place] = static_cast<float>(id), values[place] = logit;
}

void choose(const TokenEnds &p, const float *logits, Piece *pieces, float *top) {
  const int64_t count = (p.vocab + kPiece - 1) / kPiece;
  const auto task = [&](int64_t i) {
    const int64_t begin = i * kPiece, n = p.vocab - begin < kPiece ? p.vocab - begin : kPiece;
    pieces[i] = pieceOf(logits + begin, n);
  };
  if (count == 1)
    task(0);
  else
    parallelFor(count, task);
  float largest = pieces[0].largest;
  for (int64_t i = 1; i < count; ++i) largest = pieces[i].largest > largest ? pieces[i].largest : largest;
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += pieces[i].sum * __builtin_exp(static_cast<double>(pieces[i].largest) - largest);
  top[0] = static_cast<float>(largest + __builtin_log(sum));

  float *ids = top + 1, *values = ids + p.count;
  int64_t held = 0;
  for (int64_t k = 0; k < p.count; ++k) ids[k] = -1, values[k] = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (held == p.count && !(pieces[i].largest > values[held - 1])) continue;
    const int64_t end = (i + 1) * kPiece < p.known ? (i + 1) * kPiece : p.known;
    for (int64_t id = i * kPiece; id < end; ++id)
      if (held < p.count ? logits[id] == logits[id] : logits[id] > values[held - 1])
        insert(ids, values, held, p.count, id, logits[id]);
  }
}

}  // namespace

void chooseTokens(const TokenEnds &p) {
  const int64_t pieces = (p.vocab + kPiece - 1) / kPiece;
  Scratch scratch(p.rows * p.model + pieces * sizeof(Piece) / sizeof(float));
  float *normed = scratch.take(p.rows * p.model);
  auto *of = reinterpret_cast<Piece *>(scratch.take(pieces * sizeof(Piece) / sizeof(float)));
  for (int64_t r = 0; r < p.rows; ++r)
    normalizeRow(p.x + r * p.model, p.norm, normed + r * p.model, p.model, p.epsilon);
  const bool own = p.head.floats || p.head.words;
  project(own ? p.head : p.table, p.rows, p.model, p.vocab, normed, nullptr, p.logits, !own);
  if (p.count == 0) return;
  for (int64_t r = 0; r < p.rows; ++r) choose(p, p.logits + r * p.vocab, of, p.top + r * (1 + 2 * p.count));
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
