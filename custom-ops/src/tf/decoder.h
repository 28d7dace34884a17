// A language model opened for decoding: it holds the weights and keeps the state, so that a token is one call with some ids, and no tensor
// is made for it. The ops TfjsMambaStepDecoder and TfjsMambaMamba2StepDecoder open one; the addon (loader/decoder.cc) calls the rest by
// these names. Each gives what is wrong, or null.
#pragma once

#include <cstdint>

extern "C" {

// The next token of each of the rows, which the model reads; what is chosen from comes back: all logits [rows,vocab] unless null, and with a
// count, of each row ln of the sum of all exp, and the likeliest ids below `known` and their logits [rows,1+2*count].
const char *tfjs_mamba_decoder_next(int decoder, const int32_t *ids, int64_t rows, float *logits, int64_t logitsSize,
                                    int64_t count, int64_t known, float *top, int64_t topSize);

// The states of the blocks, one after the other, each its convolution's and its scan's.
const char *tfjs_mamba_decoder_state(int decoder, float *state, int64_t size);

// Frees it; nothing if it is free already.
void tfjs_mamba_decoder_close(int decoder);

}  // extern "C"
