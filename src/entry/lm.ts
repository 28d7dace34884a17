/**
 * Language models: building, loading, generating, saving. It brings no kernels: import those of the backends that the page runs on, such
 * as `tfjs-mamba/backends/webgpu`.
 *
 * @packageDocumentation
 */
export type {MambaConfig, ModelConfig, ResolvedMambaConfig} from '../config/config';
export type {PresetName} from '../config/presets';
export {presets} from '../config/presets';
export type {ChatMessage, ChatTemplateOptions} from '../lm/chat';
export {applyChatTemplate} from '../lm/chat';
export type {GeneratedText, GeneratedToken, GenerateOptions, GenerationEnd} from '../lm/generate';
export type {StateHistoryOptions} from '../lm/history';
export {forkState, StateHistory, stateHistory} from '../lm/history';
export type {MambaCompileArgs, MambaLMOptions, MambaState} from '../lm/model';
export type {TokenIds} from '../lm/tokenIds';
export {MambaLM, mambaLM} from '../lm/model';
export type {FromPretrainedOptions, SavePretrainedOptions} from '../lm/pretrained';
export {fromPretrained, savePretrained} from '../lm/pretrained';
export type {SamplingOptions} from '../lm/sampling';
export type {Selection} from '../lm/selection';
export {selection} from '../lm/selection';
export type {StateSource} from '../lm/states';
export {deleteState, listStates, loadHistory, loadState, saveState} from '../lm/states';
export type {LoadTokenizerOptions, Tokenizer} from '../lm/tokenizers';
export {byteTokenizer, characterTokenizer, loadTokenizer} from '../lm/tokenizers';
export type {ByteFile, OnBytes} from '../checkpoints/bytes';
export type {ByteCache, CacheOption} from '../checkpoints/cache';
export {chosenFiles} from '../checkpoints/chosenFiles';
export type {LoadOptions, LoadProgress} from '../checkpoints/load';
export type {SaveOptions} from '../checkpoints/save';
export type {CheckpointSource, SourceOptions} from '../checkpoints/source';
export type {SaveHandler} from '../checkpoints/target';
export * from './mixers';
