/**
 * Keeps bytes by name in the browser's IndexedDB, for states and for checkpoints of training. A value takes the place of the last one in
 * one piece: a tab that is closed in the middle leaves what was there. A checkpoint has reached the disk when it is told of, as the browser
 * sees it; a state, which is saved within milliseconds or not at all, is the system's to write out.
 */

/** Named values of one kind. */
export interface Database<T> {
  get(name: string): Promise<T | undefined>;
  put(name: string, value: T): Promise<void>;
  delete(name: string): Promise<void>;
  names(): Promise<string[]>;
}

const NAME = 'tfjs-mamba';
const STORES = {states: 'relaxed', checkpoints: 'strict'} as const;
/** Opened once for all calls, until another page has to change or delete the database, or the browser closes it. */
let opened: Promise<IDBDatabase> | undefined;

/**
 * @param op What errors name first.
 * @param store The kind of values.
 */
export function openDatabase<T>(op: string, store: keyof typeof STORES): Database<T> {
  const run = async <R>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<R>): Promise<R> => {
    const database = await connect(op);
    const transaction = database.transaction(store, mode, {durability: STORES[store]});
    const request = work(transaction.objectStore(store));
    await new Promise<void>((resolve, reject) => {
      // What is read is there before the transaction has ended.
      if (mode === 'readonly') request.onsuccess = () => resolve();
      transaction.oncomplete = () => resolve();
      transaction.onabort = transaction.onerror = () => reject(failure(op, transaction.error ?? request.error));
    });
    return request.result;
  };
  return {
    get: (name) => run('readonly', (values) => values.get(name) as IDBRequest<T | undefined>),
    put: async (name, value) => void (await run('readwrite', (values) => values.put(value, name))),
    delete: (name) => run('readwrite', (values) => values.delete(name)),
    names: async () => (await run('readonly', (values) => values.getAllKeys())).map(String),
  };
}

async function connect(op: string): Promise<IDBDatabase> {
  if (typeof indexedDB === 'undefined') {
    throw new Error(`${op}: there is no IndexedDB here, which browsers have; in Node give the path of a file`);
  }
  const database = (opened ??= open());
  return database.catch((cause: DOMException) => {
    forget();
    throw failure(op, cause);
  });
}

function open(): Promise<IDBDatabase> {
  const request = indexedDB.open(NAME, 1);
  return new Promise((resolve, reject) => {
    request.onupgradeneeded = () => Object.keys(STORES).forEach((store) => request.result.createObjectStore(store));
    request.onsuccess = () => {
      const {result: database} = request;
      database.onclose = forget;
      database.onversionchange = () => {
        database.close(); // after what is at work
        forget();
      };
      resolve(database);
    };
    request.onerror = () => reject(request.error!);
  });
}

function forget(): void {
  opened = undefined;
}

function failure(op: string, cause: DOMException | null): Error {
  const isFull = cause?.name === 'QuotaExceededError';
  const why = isFull ? 'the browser gives this page no more room; free some, or save to a file' : cause?.message;
  return new Error(`${op}: IndexedDB: ${why ?? 'it failed'}`, {cause});
}
