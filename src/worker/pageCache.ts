/** The browser's cache as a page wants it: what cannot be kept is loaded all the same, and the page is told why. */
import {openCache, type ByteCache} from '../checkpoints/cache';

/**
 * @param tell Is given the reason, once, if nothing can be kept, or from here on nothing more.
 * @returns false if there is no cache at all.
 */
export async function pageCache(tell: (why: string) => void): Promise<ByteCache | false> {
  const say = (why: string) => tell(`the model is loaded, but not kept for the next time: ${why}`);
  try {
    const cache = (await openCache(true))!;
    return {
      get: (key) => cache.get(key),
      async put(key, bytes) {
        try {
          await cache.put(key, bytes);
        } catch (error) {
          const isFull = (error as Error).name === 'QuotaExceededError';
          say(isFull ? 'the browser gives this page no more room' : (error as Error).message);
          throw error;
        }
      },
    };
  } catch (error) {
    say((error as Error).message);
    return false;
  }
}
