/**
 * Says what is missing where a page has the script tags in the wrong order. The entry points import this file first: every other one needs
 * TensorFlow.js as it is loaded.
 */
import * as tf from '@tensorflow/tfjs';

// In a script tag's build `tf` is the page's global of that name, which then is undefined.
if ((tf as Partial<typeof tf> | undefined)?.engine === undefined) {
  throw new Error('tfjs-mamba: there is no TensorFlow.js; load @tensorflow/tfjs before tfjs-mamba');
}
