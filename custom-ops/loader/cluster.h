// The collectives as functions of JavaScript that give promises.
#pragma once

#include <node_api.h>

napi_value jsOpenCluster(napi_env env, napi_callback_info info);
napi_value jsCollective(napi_env env, napi_callback_info info);
