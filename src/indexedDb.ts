/**
 * Keeps bytes by name in the browser's IndexedDB, for states and for checkpoints of training. A value takes the place of the last one in
 * one piece: a tab that is closed in the middle leaves what was there.
 */

/** Named values of one kind. */
export interface Database<T> {
  get(name: string): Promise<T | undefined>;
  put(name: string, value: T): Promise<void>;
  delete(name: string): Promise<void>;
  names(): Promise<string[]>;
}

const NAME = 'tfjs-mamba';
const STORES = ['states', 'checkpoints'] as const;

/**
 * @param op What errors name first.
 * @param store The kind of values.
 */
export function openDatabase<T>(op: string, store: (typeof STORES)[number]): Database<T> {
  const run = async <R>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<R>): Promise<R> => {
    const database = await connect(op);
    try {
      const transaction = database.transaction(store, mode, {durability: 'strict'});
      const request = work(transaction.objectStore(store));
      await new Promise<void>((resolve, reject) => {
        transaction.oncomplete = () => resolve();
        transaction.onabort = transaction.onerror = () => reject(failure(op, transaction.error ?? request.error));
      });
      return request.result;
    } finally {
      database.close();
    }
  };
  return {
    get: (name) => run('readonly', (values) => values.get(name) as IDBRequest<T | undefined>),
    put: async (name, value) => void (await run('readwrite', (values) => values.put(value, name))),
    delete: (name) => run('readwrite', (values) => values.delete(name)),
    names: async () => (await run('readonly', (values) => values.getAllKeys())).map(String),
  };
}

function connect(op: string): Promise<IDBDatabase> {
  if (typeof indexedDB === 'undefined') {
    throw new Error(`${op}: there is no IndexedDB here, which browsers have; in Node give the path of a file`);
  }
  const request = indexedDB.open(NAME, 1);
  return new Promise((resolve, reject) => {
    request.onupgradeneeded = () => STORES.forEach((store) => request.result.createObjectStore(store));
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(failure(op, request.error));
  });
}

function failure(op: string, cause: DOMException | null): Error {
  const isFull = cause?.name === 'QuotaExceededError';
  const why = isFull ? 'the browser gives this page no more room; free some, or save to a file' : cause?.message;
  return new Error(`${op}: IndexedDB: ${why ?? 'it failed'}`, {cause});
}
