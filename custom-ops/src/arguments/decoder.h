// What the ops that open a decoder are given: the ends of a language model and its blocks, checked, for tokens to be taken through
// them one by one. Chain is the class of the blocks' mixer; the attributes of its own op are those of this one, too.
#pragma once

#include "decode.h"
#include "mamba2_step.h"

namespace tfjs_mamba {

template <typename Step>
struct DecoderParts {
  TokenEnds ends;  // without ids, x and results
  std::vector<Step> blocks;
  float *handle;   // where the decoder's number goes
};

// The inputs are the floats of the ends, those of the blocks, the words of the ends and those of the blocks.
template <typename Chain>
class DecoderOp {
 public:
  static constexpr const char *kName = Chain::kDecoderName;

  explicit DecoderOp(const Attributes &a)
      : chain_(a), present_(a.integer("ends_present")), packed_(a.integer("ends_packed")), epsilon_(a.number("final_epsilon")) {}

  auto problem(Call &call) const {
    enum { kNorm, kTable, kHead };
    const int floats = __builtin_popcountll(present_), words = __builtin_popcountll(packed_);
    if (call.inputs() <= floats + words) throw OpError("there are no blocks");
    const NamedInputs in(call, {"normWeight", "table", "head"}, present_, 0, floats, packed_, chain_.firstWord(call) - words);
    in.requireRank(kNorm, 1);
    TokenEnds ends{};
    ends.model = in.shape(kNorm)[0], ends.norm = in.data(kNorm), ends.epsilon = epsilon_;
    ends.vocab = in.sizesOf(kTable, true)[1];
    ends.table = in.matrix(kTable, ends.model, ends.vocab, true);
    if (in.has(kHead) || packed_ >> kHead & 1) ends.head = in.matrix(kHead, ends.model, ends.vocab);
    const Shape state = call.shape(floats);  // the first of each block's inputs
    if (state.empty() || state[0] < 1) throw OpError("conv must have rank 3, but has shape " + show(state));
    ends.rows = state[0];
    auto blocks = chain_.blocks(call, {ends.rows, ends.model}, floats, words);
    using Step = typename decltype(blocks)::value_type;
    return DecoderParts<Step>{ends, std::move(blocks), call.output(0, {1})};
  }

 private:
  Chain chain_;
  int64_t present_, packed_;
  float epsilon_;
};

}  // namespace tfjs_mamba
