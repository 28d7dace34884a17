/** `npm run reproduce -- acsf1`: the same of the long series. */
import {reproduceSet} from './train';

export const reproduce = (args: readonly string[]): Promise<void> => reproduceSet('acsf1', args);
