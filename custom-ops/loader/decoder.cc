// The decoders of the op library (src/tf/decoder.h) as functions of JavaScript, which are called once a token. Arrays are typed, and what
// is computed is written into those that are given.
//
//   nextTokens(decoder, ids, logits, count, known, top)   logits and top may be empty
//   decoderState(decoder, state)
//   closeDecoder(decoder)
#include "decoder.h"

#include "../src/tf/decoder.h"
#include "tensorflow.h"

namespace {

template <typename T>
struct Array {
  T *data = nullptr;
  size_t size = 0;
};

template <typename T>
bool readArray(napi_env env, napi_value value, napi_typedarray_type expected, Array<T> &array) {
  napi_typedarray_type type;
  void *data = nullptr;
  if (napi_get_typedarray_info(env, value, &type, &array.size, &data, nullptr, nullptr) != napi_ok || type != expected)
    return false;
  array.data = array.size > 0 ? static_cast<T *>(data) : nullptr;
  return true;
}

napi_value refuse(napi_env env, const char *message) {
  napi_throw_error(env, nullptr, message);
  return nullptr;
}

}  // namespace

napi_value jsNextTokens(napi_env env, napi_callback_info info) {
  static const auto next = inOpLibrary<decltype(tfjs_mamba_decoder_next)>("tfjs_mamba_decoder_next");
  size_t given = 6;
  napi_value values[6];
  int32_t decoder = 0;
  int64_t count = 0, known = 0;
  Array<int32_t> ids;
  Array<float> logits, top;
  napi_get_cb_info(env, info, &given, values, nullptr, nullptr);
  if (given < 6 || napi_get_value_int32(env, values[0], &decoder) != napi_ok ||
      !readArray(env, values[1], napi_int32_array, ids) || !readArray(env, values[2], napi_float32_array, logits) ||
      napi_get_value_int64(env, values[3], &count) != napi_ok || napi_get_value_int64(env, values[4], &known) != napi_ok ||
      !readArray(env, values[5], napi_float32_array, top))
    return refuse(env, "tfjs-mamba: nextTokens needs a decoder, Int32Array, Float32Array, two numbers and Float32Array");
  if (!next) return refuse(env, "tfjs-mamba: no op library with decoders is loaded");
  const char *error = next(decoder, ids.data, ids.size, logits.data, logits.size, count, known, top.data, top.size);
  return error ? refuse(env, error) : nullptr;
}

napi_value jsDecoderState(napi_env env, napi_callback_info info) {
  static const auto copy = inOpLibrary<decltype(tfjs_mamba_decoder_state)>("tfjs_mamba_decoder_state");
  size_t given = 2;
  napi_value values[2];
  int32_t decoder = 0;
  Array<float> state;
  napi_get_cb_info(env, info, &given, values, nullptr, nullptr);
  if (given < 2 || napi_get_value_int32(env, values[0], &decoder) != napi_ok ||
      !readArray(env, values[1], napi_float32_array, state))
    return refuse(env, "tfjs-mamba: decoderState needs a decoder and a Float32Array");
  if (!copy) return refuse(env, "tfjs-mamba: no op library with decoders is loaded");
  const char *error = copy(decoder, state.data, state.size);
  return error ? refuse(env, error) : nullptr;
}

napi_value jsCloseDecoder(napi_env env, napi_callback_info info) {
  static const auto close = inOpLibrary<decltype(tfjs_mamba_decoder_close)>("tfjs_mamba_decoder_close");
  size_t given = 1;
  napi_value value = nullptr;
  int32_t decoder = 0;
  napi_get_cb_info(env, info, &given, &value, nullptr, nullptr);
  if (given > 0 && close && napi_get_value_int32(env, value, &decoder) == napi_ok) close(decoder);
  return nullptr;
}
