// What the ops that take one token through all blocks of a model are given: the blocks checked, and with space for what they give. What
// a block is says the class of its mixer, which this is a base of.
#pragma once

#include "../problem.h"
#include "call.h"

namespace tfjs_mamba {

// The inputs are x [B,model] and those of each block, one block after the other, all blocks of one size; the words of packed matrices,
// which are no floats, follow in the same order. Bit i of the attribute `packed` says that input i of a block is such a matrix: its
// scales are in the place of its floats if it has any (8 bits), or else nothing is (bfloat16).
//
// Block has kNames, block(), sameSizes(), and the shapes of the two states that a block carries, its first two inputs.
template <typename Block, typename Step>
class ChainOp {
 public:
  explicit ChainOp(const Attributes &a)
      : present_(a.integer("present")), packed_(a.integer("packed")), blocks_(static_cast<int>(a.integer("blocks"))) {}

  // The blocks in their order.
  std::vector<Step> problem(Call &call) const {
    const Shape x = call.shape(0);
    if (x.size() != 2 || sizeOf(x) == 0)
      throw OpError("x must have rank 2 and not be empty, but has shape " + show(x));
    std::vector<Step> steps = blocks(call, x, 1, 0);
    float *y = call.output(0, x);
    for (int i = 0; i < blocks_; ++i) {
      Step &p = steps[i];
      p.x = i == 0 ? call.data(0) : y, p.y = y;
      p.newConvState = call.output(1 + i, Block::convState(p));
      p.newSsmState = call.output(1 + blocks_ + i, Block::ssmState(p));
    }
    return steps;
  }

  // Which input is the first of the blocks' words.
  int firstWord(Call &call) const { return call.inputs() - blocks_ * __builtin_popcountll(packed_); }

  // The blocks without x and without where their results go. Theirs are the floats from input `first` on and the words after `otherWords`
  // of something else's; x is what would be [B,model].
  std::vector<Step> blocks(Call &call, const Shape &x, int first, int otherWords) const {
    const int words = __builtin_popcountll(packed_), floats = firstWord(call) - otherWords - first;
    if (floats < 0 || floats % blocks_ != 0)
      throw OpError("attribute blocks is " + std::to_string(blocks_) + ", which does not divide " + std::to_string(floats) +
                    " inputs");
    const int count = floats / blocks_;
    std::vector<Step> steps;
    for (int i = 0; i < blocks_; ++i) {
      const NamedInputs in(call, {std::begin(Block::kNames), std::end(Block::kNames)}, present_, first + i * count, count,
                           packed_, firstWord(call) + i * words);
      steps.push_back(static_cast<const Block *>(this)->block(in, x));
      if (!Block::sameSizes(steps[i], steps[0]))
        throw OpError("block " + std::to_string(i) + " differs in size from the first");
    }
    return steps;
  }

 private:
  int64_t present_, packed_;
  int blocks_;
};

}  // namespace tfjs_mamba
