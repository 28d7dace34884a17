/** A process of the command line, from the source. */
import {main} from '../../src/cli/main';

await main(process.argv.slice(2), '0.0.0');
