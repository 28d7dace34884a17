// The decoders of the op library as functions of JavaScript.
#pragma once

#include <node_api.h>

napi_value jsNextTokens(napi_env env, napi_callback_info info);
napi_value jsDecoderState(napi_env env, napi_callback_info info);
napi_value jsCloseDecoder(napi_env env, napi_callback_info info);
