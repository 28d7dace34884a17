#include "decoder.h"

#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "../arguments/decoder.h"
#include "blocks.h"
#include "ops.h"

namespace tfjs_mamba {
namespace {

// Tensors of TensorFlow that stay as long as this does.
class HeldTensors {
 public:
  explicit HeldTensors(std::vector<TF_Tensor *> tensors) : tensors_(std::move(tensors)) {}
  ~HeldTensors() {
    for (TF_Tensor *tensor : tensors_)
      if (tensor) TF_DeleteTensor(tensor);
  }
  HeldTensors(const HeldTensors &) = delete;
  HeldTensors &operator=(const HeldTensors &) = delete;

 private:
  std::vector<TF_Tensor *> tensors_;
};

class Decoder {
 public:
  Decoder(const TokenEnds &ends, CpuCall &call)
      : ends_(ends), weights_(call.takeInputs()), x_(ends.rows * ends.model), logits_(ends.rows * ends.vocab) {
    ends_.x = x_.data();
  }
  virtual ~Decoder() = default;

  void next(const int32_t *ids, int64_t rows, float *logits, int64_t logitsSize, int64_t count, int64_t known, float *top,
            int64_t topSize) {
    std::lock_guard<std::mutex> busy(busy_);
    if (rows != ends_.rows) throw OpError("there must be an id for each of " + std::to_string(ends_.rows) + " rows, but there are " + std::to_string(rows));
    for (int64_t r = 0; r < rows; ++r)
      if (ids[r] < 0 || ids[r] >= ends_.vocab)
        throw OpError("ids must be in [0, " + std::to_string(ends_.vocab) + "), but one is " + std::to_string(ids[r]));
    if (logits && logitsSize != rows * ends_.vocab) throw OpError("there must be room for all logits");
    if (count < 0 || known < count || known > ends_.vocab || (count > 0 && topSize != rows * (1 + 2 * count)))
      throw OpError("there must be room for the likeliest ids, and so many of them");
    ends_.ids = ids, ends_.logits = logits ? logits : logits_.data();
    ends_.count = count, ends_.known = known, ends_.top = top;
    cpuKernels().lookUpTokens(ends_);
    runBlocks();
    cpuKernels().chooseTokens(ends_);
  }

  void copyState(float *to, int64_t size) {
    std::lock_guard<std::mutex> busy(busy_);
    if (size != static_cast<int64_t>(state_.size())) throw OpError("the states are " + std::to_string(state_.size()) + " floats");
    std::memcpy(to, state_.data(), state_.size() * sizeof(float));
  }

 protected:
  virtual void runBlocks() = 0;

  TokenEnds ends_;
  std::vector<float> state_;

 private:
  HeldTensors weights_;
  std::vector<float> x_, logits_;
  std::mutex busy_;
};

template <typename Chain, typename Step>
class ChainDecoder final : public Decoder {
 public:
  ChainDecoder(const DecoderParts<Step> &parts, CpuCall &call) : Decoder(parts.ends, call), blocks_(parts.blocks) {
    const int64_t conv = sizeOf(Chain::convState(blocks_[0])), ssm = sizeOf(Chain::ssmState(blocks_[0]));
    state_.resize(blocks_.size() * (conv + ssm));
    float *at = state_.data();
    for (Step &p : blocks_) {
      p.x = p.y = ends_.x;
      p.convState = p.newConvState = keep(at, p.convState, conv);
      p.ssmState = p.newSsmState = keep(at, p.ssmState, ssm);
      prepareWeights(p);
    }
    prepareMatrix(ends_.table, ends_.model, ends_.vocab);
    if (ends_.head.floats || ends_.head.words) prepareMatrix(ends_.head, ends_.model, ends_.vocab);
  }

 private:
  static float *keep(float *&at, const float *from, int64_t size) {
    std::memcpy(at, from, size * sizeof(float));
    return std::exchange(at, at + size);
  }

  void runBlocks() override {
    for (const Step &p : blocks_) runBlock(p);
  }

  std::vector<Step> blocks_;
};

// Those that are open, by number. Never destroyed: a process may exit while a worker thread decodes.
struct Open {
  std::mutex mutex;
  std::map<int, std::shared_ptr<Decoder>> decoders;
};
Open &open() {
  static Open *instance = new Open;
  return *instance;
}

std::shared_ptr<Decoder> decoderOf(int number) {
  std::lock_guard<std::mutex> lock(open().mutex);
  const auto found = open().decoders.find(number);
  if (found == open().decoders.end()) throw OpError("there is no decoder " + std::to_string(number));
  return found->second;
}

template <typename Chain, typename Step>
void openDecoder(const DecoderParts<Step> &parts, CpuCall &call) {
  auto decoder = std::make_shared<ChainDecoder<Chain, Step>>(parts, call);
  std::lock_guard<std::mutex> lock(open().mutex);
  int number = 0;  // the least that is free, which a float holds
  while (open().decoders.count(number)) ++number;
  open().decoders.emplace(number, std::move(decoder));
  *parts.handle = static_cast<float>(number);
}

template <typename Work>
const char *guarded(const Work &work) {
  static thread_local std::string message;
  try {
    work();
    return nullptr;
  } catch (const std::exception &error) {
    message = error.what();
    return message.c_str();
  }
}

}  // namespace

void registerDecoderOps() {
  registerCpuOp<DecoderOp<StepOp>, openDecoder<StepOp, BlockStep>>(
      {{"inputs: NI * float", "words: NW * int32"},
       {"decoder: float"},
       {"NI: int >= 1", "NW: int >= 0 = 0", "ends_present: int", "ends_packed: int", "final_epsilon: float", "blocks: int >= 1",
        "present: int", "packed: int = 0", "epsilon: float", "mixer_epsilon: float = 0.0"},
       TF_ShapeInferenceContextSetUnknownShape});
  registerCpuOp<DecoderOp<Mamba2StepOp>, openDecoder<Mamba2StepOp, Mamba2Step>>(
      {{"inputs: NI * float", "words: NW * int32"},
       {"decoder: float"},
       {"NI: int >= 1", "NW: int >= 0 = 0", "ends_present: int", "ends_packed: int", "final_epsilon: float", "blocks: int >= 1",
        "present: int", "packed: int = 0", "norm_groups: int >= 1", "norm_before_gate: bool", "epsilon: float",
        "delta_min: float", "delta_max: float"},
       TF_ShapeInferenceContextSetUnknownShape});
}

}  // namespace tfjs_mamba

#define EXPORTED extern "C" __attribute__((visibility("default")))
using namespace tfjs_mamba;

EXPORTED const char *tfjs_mamba_decoder_next(int decoder, const int32_t *ids, int64_t rows, float *logits,
                                             int64_t logitsSize, int64_t count, int64_t known, float *top, int64_t topSize) {
  return guarded([&] { decoderOf(decoder)->next(ids, rows, logits, logitsSize, count, known, top, topSize); });
}

EXPORTED const char *tfjs_mamba_decoder_state(int decoder, float *state, int64_t size) {
  return guarded([&] { decoderOf(decoder)->copyState(state, size); });
}

EXPORTED void tfjs_mamba_decoder_close(int decoder) {
  std::shared_ptr<Decoder> last;  // freed outside of the lock
  std::lock_guard<std::mutex> lock(open().mutex);
  const auto found = open().decoders.find(decoder);
  if (found == open().decoders.end()) return;
  last = std::move(found->second);
  open().decoders.erase(found);
}
