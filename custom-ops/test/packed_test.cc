// Products by packed rows and the ends of a model that has them against float64, in buffers that end where their last value does, so that the
// sanitizers see a read beyond; bit for bit with 1 and 3 threads.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#include "../src/cpu/kernels.h"
#include "../src/cpu/thread_pool.h"

using namespace tfjs_mamba;

// Rows [out,in] of 8 or 16 bits, and what they stand for.
struct Rows {
  std::vector<int32_t> words;
  std::vector<float> scales, values;

  Rows(int64_t out, int64_t in, bool isHalf) : words(out * in / (isHalf ? 2 : 4)), scales(isHalf ? 0 : out * in / 32), values(out * in) {
    for (size_t i = 0; i < scales.size(); ++i) scales[i] = 0.25f + static_cast<float>(i % 5) / 8;
    for (int64_t i = 0; i < out * in; ++i) {
      if (isHalf) {
        const uint16_t half = static_cast<uint16_t>(0x3f00 + i * 31 % 211 + (i % 3 == 0 ? 0x8000 : 0));
        const uint32_t bits = static_cast<uint32_t>(half) << 16;
        std::memcpy(reinterpret_cast<char *>(words.data()) + 2 * i, &half, 2);
        std::memcpy(&values[i], &bits, 4);
      } else {
        const int8_t integer = static_cast<int8_t>(i * 7919 % 255 - 127);
        reinterpret_cast<int8_t *>(words.data())[i] = integer;
        values[i] = static_cast<float>(integer) * scales[i / 32];
      }
    }
  }
  const float *scalesOrNull() const { return scales.empty() ? nullptr : scales.data(); }
};

static std::vector<float> wave(int64_t n) {
  std::vector<float> x(n);
  for (int64_t i = 0; i < n; ++i) x[i] = std::sin(0.7f * static_cast<float>(i) + 0.1f);
  return x;
}

static bool check(int64_t rows, int64_t in, int64_t out, bool isHalf, bool hasBias) {
  const Rows w(out, in, isHalf);
  const std::vector<float> x = wave(rows * in), bias = wave(out);
  std::vector<float> y(rows * out), again(rows * out), table(out * in);
  PackedMatVec p{rows, in, out, x.data(), w.words.data(), w.scalesOrNull(), hasBias ? bias.data() : nullptr, y.data()};
  setThreadCount(1);
  cpuKernels().packedMatVec(p);
  setThreadCount(3);
  p.y = again.data();
  cpuKernels().packedMatVec(p);
  cpuKernels().unpackRows({out * in, w.words.data(), w.scalesOrNull(), table.data()});
  double error = 0, largest = 0;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t o = 0; o < out; ++o) {
      double sum = hasBias ? bias[o] : 0;
      for (int64_t i = 0; i < in; ++i) sum += static_cast<double>(x[r * in + i]) * w.values[o * in + i];
      error = std::fmax(error, std::fabs(sum - y[r * out + o])), largest = std::fmax(largest, std::fabs(sum));
    }
  // As the head of a model: the likeliest of its logits, by falling logit, are those that a search finds.
  const std::vector<float> norm(in, 1.0f);
  std::vector<int32_t> ids(rows, static_cast<int32_t>(out - 1));
  std::vector<float> hidden(rows * in), logits(rows * out);
  TokenEnds ends{};
  ends.rows = rows, ends.model = in, ends.vocab = out, ends.table = {nullptr, w.words.data(), w.scalesOrNull()};
  ends.norm = norm.data(), ends.epsilon = 1e-5f, ends.ids = ids.data(), ends.x = hidden.data(), ends.logits = logits.data();
  ends.count = out < 3 ? out : 3, ends.known = out;
  std::vector<float> top(rows * (1 + 2 * ends.count));
  ends.top = top.data();
  cpuKernels().lookUpTokens(ends);
  bool right = y == again && table == w.values &&
               std::memcmp(hidden.data(), w.values.data() + (out - 1) * in, in * sizeof(float)) == 0;
  hidden = wave(rows * in), ends.x = hidden.data();
  cpuKernels().chooseTokens(ends);
  for (int64_t r = 0; r < rows; ++r) {
    const float *row = logits.data() + r * out, *of = top.data() + r * (1 + 2 * ends.count);
    double sum = 0;
    for (int64_t o = 0; o < out; ++o) sum += std::exp(static_cast<double>(row[o]) - row[static_cast<int64_t>(of[1])]);
    right = right && std::fabs(row[static_cast<int64_t>(of[1])] + std::log(sum) - of[0]) <= 1e-5 * (1 + std::fabs(of[0]));
    for (int64_t k = 0; k < ends.count; ++k) {
      const int64_t id = static_cast<int64_t>(of[1 + k]);
      int64_t before = 0;  // ids that come first
      for (int64_t o = 0; o < out; ++o) before += row[o] > row[id] || (row[o] == row[id] && o < id);
      right = right && before == k && of[1 + ends.count + k] == row[id];
    }
  }
  const bool ok = right && error <= 1e-5 * largest;
  std::printf("%s %s [%ld,%ld] by [%ld,%ld] of %d bits: %.1e\n", ok ? "ok  " : "FAIL", cpuKernels().level, static_cast<long>(rows),
              static_cast<long>(in), static_cast<long>(out), static_cast<long>(in), isHalf ? 16 : 8, error / largest);
  return ok;
}

int main() {
  int failures = 0;
  for (const bool isHalf : {false, true})
    for (const int64_t in : isHalf ? std::vector<int64_t>{2, 30, 46, 130} : std::vector<int64_t>{32, 96, 160})
      for (const int64_t out : {1, 7, 16, 33, 5000})
        for (const int64_t rows : {1, 3}) failures += !check(rows, in, out, isHalf, out % 2 == 1);
  std::printf("%d failed\n", failures);
  return failures != 0;
}
