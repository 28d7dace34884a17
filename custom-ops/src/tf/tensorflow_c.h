// The part of TensorFlow's C API that the ops use: registering ops and kernels, reading inputs, allocating outputs.
//
// Declared here, so that the library builds where no TensorFlow is, and so that it is plain which functions it asks of
// the TensorFlow that loads it: all of them are in every libtensorflow since 2.4. test/c_api_test.cc compiles these
// declarations beside TensorFlow's own headers where these are at hand, and fails if one differs.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

struct TF_Tensor;
struct TF_KernelBuilder;
struct TF_OpKernelConstruction;
struct TF_OpKernelContext;
struct TF_OpDefinitionBuilder;
struct TF_ShapeHandle;
struct TF_ShapeInferenceContext;

// Types, unless TensorFlow's headers have said it already.
#ifndef TENSORFLOW_C_TF_DATATYPE_H_
enum TF_DataType { TF_FLOAT = 1, TF_INT32 = 3 };
#endif
#ifndef TENSORFLOW_C_TF_STATUS_H_
struct TF_Status;
enum TF_Code { TF_OK = 0, TF_INVALID_ARGUMENT = 3, TF_RESOURCE_EXHAUSTED = 8, TF_INTERNAL = 13 };
#endif

TF_Status *TF_NewStatus();
void TF_DeleteStatus(TF_Status *);
void TF_SetStatus(TF_Status *, TF_Code, const char *message);
TF_Code TF_GetCode(const TF_Status *);
const char *TF_Message(const TF_Status *);

TF_Tensor *TF_AllocateTensor(TF_DataType, const int64_t *dims, int rank, size_t bytes);
TF_Tensor *TF_NewTensor(TF_DataType, const int64_t *dims, int rank, void *data, size_t bytes,
                        void (*release)(void *data, size_t bytes, void *argument), void *argument);
void TF_DeleteTensor(TF_Tensor *);
int TF_NumDims(const TF_Tensor *);
int64_t TF_Dim(const TF_Tensor *, int index);
void *TF_TensorData(const TF_Tensor *);

TF_OpDefinitionBuilder *TF_NewOpDefinitionBuilder(const char *name);
void TF_OpDefinitionBuilderAddAttr(TF_OpDefinitionBuilder *, const char *spec);
void TF_OpDefinitionBuilderAddInput(TF_OpDefinitionBuilder *, const char *spec);
void TF_OpDefinitionBuilderAddOutput(TF_OpDefinitionBuilder *, const char *spec);
void TF_OpDefinitionBuilderSetShapeInferenceFunction(TF_OpDefinitionBuilder *,
                                                     void (*)(TF_ShapeInferenceContext *, TF_Status *));
void TF_RegisterOpDefinition(TF_OpDefinitionBuilder *, TF_Status *);

TF_ShapeHandle *TF_NewShapeHandle();
void TF_DeleteShapeHandle(TF_ShapeHandle *);
int64_t TF_ShapeInferenceContextNumInputs(TF_ShapeInferenceContext *);
void TF_ShapeInferenceContextGetInput(TF_ShapeInferenceContext *, int i, TF_ShapeHandle *, TF_Status *);
void TF_ShapeInferenceContextSetOutput(TF_ShapeInferenceContext *, int i, TF_ShapeHandle *, TF_Status *);
void TF_ShapeInferenceContextWithRank(TF_ShapeInferenceContext *, TF_ShapeHandle *, int64_t rank, TF_ShapeHandle *result,
                                      TF_Status *);
void TF_ShapeInferenceContextSubshape(TF_ShapeInferenceContext *, TF_ShapeHandle *, int64_t start, int64_t end,
                                      TF_ShapeHandle *result, TF_Status *);
void TF_ShapeInferenceContextConcatenateShapes(TF_ShapeInferenceContext *, TF_ShapeHandle *first,
                                               TF_ShapeHandle *second, TF_ShapeHandle *result, TF_Status *);
void TF_ShapeInferenceContextSetUnknownShape(TF_ShapeInferenceContext *, TF_Status *);

TF_KernelBuilder *TF_NewKernelBuilder(const char *op, const char *device, void *(*create)(TF_OpKernelConstruction *),
                                      void (*compute)(void *, TF_OpKernelContext *), void (*remove)(void *));
void TF_RegisterKernelBuilder(const char *kernel, TF_KernelBuilder *, TF_Status *);

void TF_OpKernelConstruction_Failure(TF_OpKernelConstruction *, TF_Status *);
void TF_OpKernelConstruction_GetAttrInt64(TF_OpKernelConstruction *, const char *name, int64_t *, TF_Status *);
void TF_OpKernelConstruction_GetAttrFloat(TF_OpKernelConstruction *, const char *name, float *, TF_Status *);
void TF_OpKernelConstruction_GetAttrBool(TF_OpKernelConstruction *, const char *name, unsigned char *, TF_Status *);

int TF_NumInputs(TF_OpKernelContext *);
void TF_GetInput(TF_OpKernelContext *, int i, TF_Tensor **, TF_Status *);
void TF_SetOutput(TF_OpKernelContext *, int i, const TF_Tensor *, TF_Status *);
TF_Tensor *TF_AllocateOutput(TF_OpKernelContext *, int i, TF_DataType, const int64_t *dims, int rank, size_t bytes,
                             TF_Status *);
void TF_OpKernelContext_Failure(TF_OpKernelContext *, TF_Status *);

}  // extern "C"
