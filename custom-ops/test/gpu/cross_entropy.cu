// The cross entropy, forward and backward.
#include "harness.h"

namespace tfjs_mamba {
namespace {

constexpr int32_t kIgnore = -100;
constexpr float kDLoss = 0.7f;

struct DeviceEntropy {
  Floats logits;
  std::vector<int32_t> labels;
  DeviceFloats in, dLoss, loss, logSumExp, dLogits, workspace;
  DeviceArray<int32_t> label;
  EntropyForward forward{};
  EntropyBackward backward{};

  // Every `ignored`th row does not count: its label is the one to be ignored, or no class.
  DeviceEntropy(Harness &h, int64_t rows, int64_t classes, float scale, int64_t ignored)
      : logits(h.random.normal(rows * classes, scale)),
        labels(draw(h, rows, classes, ignored)),
        in(logits),
        dLoss(Floats{kDLoss}),
        loss(1),
        logSumExp(rows),
        dLogits(logits.size()),
        workspace(cuda::kCrossEntropyGradWorkspace),
        label(labels) {
    forward = {rows, classes, kIgnore, in.data, label.data, loss.data, logSumExp.data};
    backward = {rows, classes, kIgnore, in.data, logSumExp.data, dLoss.data, label.data, dLogits.data};
  }
  static std::vector<int32_t> draw(Harness &h, int64_t rows, int64_t classes, int64_t ignored) {
    const int32_t end = static_cast<int32_t>(classes), none[] = {kIgnore, -1, end, INT32_MAX};
    std::vector<int32_t> labels(rows);
    for (int64_t i = 0; i < rows; ++i)
      labels[i] = i % ignored == ignored - 1 ? none[i / ignored % 4] : static_cast<int32_t>(h.random.integer(0, end - 1));
    return labels;
  }
  const char *runForward(cudaStream_t stream) { return cuda::launchCrossEntropy(forward, stream); }
  const char *runBackward(cudaStream_t stream) {
    return cuda::launchCrossEntropyGrad(backward, workspace.data, stream);
  }
};

bool counts(int32_t label, int64_t classes) { return label >= 0 && label < classes; }

void testCase(Harness &h, int64_t rows, int64_t classes, float scale, int64_t ignored) {
  DeviceEntropy entropy(h, rows, classes, scale, ignored);
  Doubles loss{0}, logSumExp(rows), dLogits(entropy.logits.size(), 0);
  int64_t count = 0;
  for (int32_t label : entropy.labels) count += counts(label, classes);
  for (int64_t row = 0; row < rows; ++row) {
    const float *x = entropy.logits.data() + row * classes;
    const double top = *std::max_element(x, x + classes);
    double sum = 0;
    for (int64_t c = 0; c < classes; ++c) sum += std::exp(x[c] - top);
    logSumExp[row] = top + std::log(sum);
    const int32_t label = entropy.labels[row];
    if (!counts(label, classes)) continue;
    loss[0] += (logSumExp[row] - x[label]) / count;
    for (int64_t c = 0; c < classes; ++c)
      dLogits[row * classes + c] = (std::exp(x[c] - logSumExp[row]) - (c == label)) * kDLoss / count;
  }
  h.expect("crossEntropy [" + std::to_string(rows) + "," + std::to_string(classes) + "]",
           [&](cudaStream_t stream) -> const char * {
             const char *error = entropy.runForward(stream);
             return error ? error : entropy.runBackward(stream);
           },
           {{entropy.loss, loss, kForward},
            {entropy.logSumExp, logSumExp, kForward},
            {entropy.dLogits, dLogits, kGradient}});
}

}  // namespace

void testCrossEntropy(Harness &h) {
  for (int i = 0; i < 30; ++i)
    testCase(h, h.random.integer(1, 70), i % 2 ? h.random.integer(1, 4000) : 4 * h.random.integer(1, 600),
             i % 3 ? 1 : 8, h.random.integer(2, 9));
  testCase(h, 3, 50280, 3, 4);
  testCase(h, 2, 10, 1, 1);  // no row counts
}

void timeCrossEntropy(Harness &h) {
  DeviceEntropy entropy(h, 2048, 50280, 1, 1 << 20);
  const double all = entropy.logits.size();
  check(entropy.runForward(nullptr));
  h.time("cross entropy forward [2048,50280]", 4 * all, all,
         [&](cudaStream_t stream) { return entropy.runForward(stream); });
  h.time("cross entropy backward [2048,50280]", 8 * all, all,
         [&](cudaStream_t stream) { return entropy.runBackward(stream); });
}

}  // namespace tfjs_mamba
