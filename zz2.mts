const root=process.argv[2];
const {installDawn} = await import(root+'/test/support/dawn.ts');
installDawn();
const tf = await import('@tensorflow/tfjs'); await import('@tensorflow/tfjs-backend-webgpu');
const {linear} = await import(root+'/src/ops/linear/index.ts');
const {mambaStep} = await import(root+'/src/ops/mambaStep/index.ts');
tf.env().set('WEBGPU_CPU_FORWARD',false); await tf.setBackend('webgpu');
let s=1;const rnd=(shape:number[])=>{const n=shape.reduce((a,b)=>a*b,1);const v=new Float32Array(n);for(let i=0;i<n;i++){s=(s*1103515245+12345)&0x7fffffff;v[i]=(s/0x7fffffff-0.5)*0.2;}return tf.tensor(v,shape) as any;};
const best=async(f:()=>any,n=15)=>{const ts:number[]=[];let h=0;for(let i=0;i<n;i++){const t=performance.now();const r=f();const d=await r.data();ts.push(performance.now()-t);h=0;for(const x of new Uint32Array(d.buffer.slice(0)))h=(h*31+x)>>>0;r.dispose();}ts.sort((a,b)=>a-b);return `${ts[0].toFixed(1)} / ${ts[n>>1].toFixed(1)} ms hash ${h}`;};
const D=768,E=1536,N=16,R=48,K=4;
const kernel=rnd([D,2*E]),head=rnd([8000,D]);
const w={normWeight:rnd([D]),inProj:kernel,convWeight:rnd([E,K]),convBias:rnd([E]),xProj:rnd([E,R+2*N]),dtProj:rnd([R,E]),dtBias:rnd([E]),ALog:rnd([E,N]),D:rnd([E]),outProj:rnd([E,D])};
for(const B of [1]){const x=rnd([B,D]);
 console.log(root.slice(-8),'thin',B,await best(()=>linear({x,kernel})),'| transposed',await best(()=>linear({x,kernel:head,transposeKernel:true})));
}
process.exit(0);
