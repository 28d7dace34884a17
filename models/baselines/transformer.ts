/** A Transformer++ block (paper, section 4.2.1: Llama's): RMSNorm, rotary attention, RMSNorm, SwiGLU, no bias. */
import {attention} from './attention';
import {chainOf} from './chain';
import {swiglu} from './swiglu';

export const transformer = chainOf('transformer', [attention, swiglu]);
