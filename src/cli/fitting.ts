/**
 * A training run in a folder: from its first moment there is something to go on from, whatever happens. The model, the losses, how far it
 * came, and under `training` the checkpoints that make a stopped run go on exactly. `npm start` trains by it too.
 */
import {rm} from 'node:fs/promises';
import type {BatchDataset, FitOptions, FitResult, StepReport, Trainer} from '../node';
import {folderCheckpoints} from '../training/nodeCheckpoints';
import type {Curve} from './curve';
import {openCurve} from './curve';
import type {Round} from './rounds';

export interface FittingOptions extends Pick<FitOptions, 'validation' | 'signal' | 'reportEvery'> {
  folder: string;
  round: Round;
  /** A checkpoint is kept every so many steps, and at the end. */
  saveEvery: number;
  /** What the losses are. */
  title: string;
  /** Writes the model into the folder. */
  save(): Promise<void>;
  onStep(report: StepReport): unknown;
  onValidation?(result: {step: number; loss: number; perplexity: number}): unknown;
}

export async function fitInFolder(
  trainer: Trainer,
  dataset: BatchDataset,
  options: FittingOptions,
): Promise<FitResult & {curve: Curve}> {
  const {folder, round, saveEvery, title, save, onStep, onValidation, ...fitting} = options;
  if (!round.resumes) await rm(`${folder}/training`, {recursive: true, force: true});
  const curve = await openCurve(folder, round.resumes, title);
  const keep = async (step: number) => {
    await save();
    await curve.write();
    await round.write(step);
  };
  // What a stopped run had reached is told by its checkpoint.
  if (!round.resumes) await keep(0);
  const result = await trainer.fit(dataset, {
    ...fitting,
    steps: round.steps,
    verbose: 0,
    checkpoint: {target: folderCheckpoints(`${folder}/training`), every: saveEvery},
    callbacks: {
      onCheckpoint: ({step}) => keep(step),
      onValidation,
      onStep: (report) => {
        curve.add(report);
        return onStep(report);
      },
    },
  });
  return {...result, curve};
}
