// Many tensors as one message to the other processes of a cluster, without a copy in JavaScript: TfjsMambaPackBundle copies them into memory
// that the addon hands to TensorFlow's collectives as it is, and TfjsMambaUnpackBundle gives the result out as tensors that share its memory.
// In between the addon (loader/cluster.cc) knows a bundle by its number.
#pragma once

struct TF_Tensor;

extern "C" {

// What has been packed, [n] floats, which whoever takes it is to delete; null if there is no such bundle, or if it has been taken.
TF_Tensor *tfjs_mamba_bundle_take(int bundle);

// Puts in its place what came of it, of the same size, which is then the bundle's.
void tfjs_mamba_bundle_give(int bundle, TF_Tensor *result);

// Frees it; nothing if it has been unpacked.
void tfjs_mamba_bundle_drop(int bundle);

}  // extern "C"
