/** The recurrence of `mamba`. The functions of a block are here only so that they are kept apart. */
export {scanBlockAnyhow, selectiveScan} from './scan';
export {backBlockAnyhow, selectiveScanGrad} from './scanGrad';
export {selectiveStateUpdate} from './stateUpdate';
