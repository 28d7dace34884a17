/**
 * A training run in a folder: from its first moment there is something to go on from, whatever happens. The model, the losses, how far it
 * came, and under `training` the checkpoints that make a stopped run go on exactly. `npm start` trains by it too.
 */
import {rm} from 'node:fs/promises';
import type {BatchDataset, Cluster, FitOptions, FitResult, StepReport, Trainer} from '../node';
import {loadCheckpoint} from '../training/checkpoint';
import {byFirst} from '../training/cluster';
import {folderCheckpoints} from '../training/nodeCheckpoints';
import type {Curve} from './curve';
import {openCurve} from './curve';
import type {Round} from './rounds';

export interface FittingOptions extends Pick<FitOptions, 'validation' | 'signal' | 'reportEvery'> {
  folder: string;
  round: Round;
  /** A checkpoint is kept every so many steps, and at the end. */
  saveEvery: number;
  /** Whether what is kept in the end is of the lowest validation loss. */
  keepBest?: boolean;
  /** What the losses are. */
  title: string;
  /** Of several processes at one run, one alone keeps it. */
  cluster?: Cluster;
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
  const {folder, round, cluster, saveEvery, keepBest, title, save, onStep, onValidation, validation, ...fitting} =
    options;
  await cluster?.barrier(); // all have read what is there
  const best = keepBest ? folderCheckpoints(`${folder}/best`) : undefined;
  const curve = await openCurve(folder, round.resumes, title);
  const keep = async (step: number) => {
    await trainer.averaged(save);
    await curve.write();
    // Not ended before the best is in its place.
    if (!best || step < round.steps) await round.write(step);
  };
  // What a stopped run had reached is told by its checkpoint.
  if (!round.resumes) {
    const begin = async () => {
      for (const old of ['training', 'best']) await rm(`${folder}/${old}`, {recursive: true, force: true});
      await keep(0);
    };
    await byFirst(begin, cluster);
  }
  const result = await trainer.fit(dataset, {
    ...fitting,
    steps: round.steps,
    verbose: 0,
    validation: validation && {...validation, best},
    checkpoint: {target: folderCheckpoints(`${folder}/training`), every: saveEvery},
    callbacks: {
      onCheckpoint: ({step}) => byFirst(() => keep(step), cluster),
      onValidation,
      onStep: (report) => {
        curve.add(report);
        return onStep(report);
      },
    },
  });
  const end = async () => {
    if (best && result.best) {
      await loadCheckpoint(best, trainer.model);
      await save();
    }
    await round.write(result.step, result.ended === 'patience' || undefined);
  };
  if (result.ended !== 'aborted') await byFirst(end, cluster);
  return {...result, curve};
}
