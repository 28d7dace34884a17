/**
 * Whether all workers have been given the same cluster, for Node: TensorFlow would let those that differ wait for each other until the patience is
 * over. A server of TensorFlow tells whoever asks what its devices are called, and the names of its job and task are in that. So what must be the same is
 * put into the name of the job.
 *
 * The call is WorkerService.GetStatus of tensorflow/core/protobuf/worker_service.proto, with an empty message.
 */
import {connect} from 'node:http2';
import {callKey} from './key';
import {JOB} from './messages';
import {nameOf, placeOf} from './nodePeers';

/** The name of the job: of how many workers it is, of which, and by which version of this package. */
export function jobName(addresses: readonly string[], version: string): string {
  const list = callKey(addresses.join()).toString(16);
  return [JOB, addresses.length, list, version.replace(/\W/g, '_')].join('_');
}

/** What a worker that has been given something else is told by; see {@link introduction}. */
export class Misfit extends Error {}

/**
 * Asks the worker at an address of the list who it is.
 *
 * @returns What is in the way for now, if anything.
 * @throws Misfit if it is not who it should be, or this process is not.
 */
export async function introduction(
  addresses: readonly string[],
  ranks: {own: number; asked: number},
  job: string,
  milliseconds: number,
): Promise<string | undefined> {
  const address = addresses[ranks.asked];
  const answer = await ask(address, milliseconds);
  if (answer === undefined) return 'what listens there does not answer as a worker does';
  const misfit = misfitOf(answer.toString('latin1'), nameOf(address, ranks.asked), ranks.asked, job);
  if (misfit !== undefined) throw new Misfit(misfit);
  if (ranks.asked !== ranks.own) return undefined;
  // The number that TensorFlow drew for this process is in the answer too.
  const own = await ask(`127.0.0.1:${placeOf(address).port}`, milliseconds);
  if (own && !own.equals(answer))
    throw new Misfit(
      `this process is to be ${nameOf(address, ranks.asked)}, but another one answers there: task.index must be another one for each`,
    );
  return undefined;
}

/** What is wrong with who answers, whose name as an error has it is `who`. */
export function misfitOf(answer: string, who: string, rank: number, job: string): string | undefined {
  const [, theirs, task] = /\/job:(\w+)\/replica:0\/task:(\d+)\/device:CPU:0/.exec(answer) ?? [];
  if (!theirs?.startsWith(`${JOB}_`))
    return `${who} is a server${theirs === undefined ? '' : ' of TensorFlow'}, but not a worker of tfjs-mamba`;
  if (theirs !== job) {
    const [[, size, list, ...version], [, ownSize, ownList, ...ownVersion]] = [theirs, job].map((name) =>
      name.split('_'),
    );
    const must = 'all workers must be given the same cluster';
    if (size !== ownSize) return `${must}, but that of ${who} has ${size} workers, and that of this process ${ownSize}`;
    if (list !== ownList) return `${must}, but that of ${who} has other addresses, or another order of them`;
    return `all workers must run the same version of tfjs-mamba, but ${who} runs ${version.join('.')}, and this process ${ownVersion.join('.')}`;
  }
  if (Number(task) === rank) return undefined;
  return `${who} answers as worker ${task}: task.index must be ${rank} there`;
}

/** The answer's bytes; undefined if there is none. */
function ask(address: string, milliseconds: number): Promise<Buffer | undefined> {
  const {host, port} = placeOf(address);
  return new Promise((resolve) => {
    const session = connect(`http://${host.includes(':') ? `[${host}]` : host}:${port}`);
    const finish = (answer?: Buffer) => {
      session.destroy();
      resolve(answer);
    };
    const parts: Buffer[] = [];
    session.setTimeout(milliseconds, () => finish());
    session.once('error', () => finish());
    const call = session.request({
      ':method': 'POST',
      ':path': '/tensorflow.WorkerService/GetStatus',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    call.once('error', () => finish());
    call.on('data', (part: Buffer) => parts.push(part));
    call.once('end', () => finish(parts.length > 0 ? Buffer.concat(parts) : undefined));
    call.end(Buffer.alloc(5)); // not compressed, of length 0
  });
}
