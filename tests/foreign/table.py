"""What of other people's code differentiates, and why the rest does not: a row a call, tried by test_table.py.

The calls are written as a user of the library writes them. x, p > 0 and u in (0, 1), all (2, 3), and v (8,) are watched
arrays, xp is their namespace. SciPy's need SCIPY_ARRAY_API=1 before SciPy is imported; those that it makes
of compiled code get their derivatives from nnx/autodiff/rules/special.py, by way of its own dispatch.
"""

import importlib
import re
from dataclasses import dataclass
from typing import Any

ARGUMENTS = {
    "x": [[0.31, -1.2, 0.75], [2.1, 0.43, -0.58]],
    "p": [[0.31, 1.2, 0.75], [2.1, 0.43, 0.58]],
    "u": [[0.31, 0.12, 0.75], [0.21, 0.43, 0.58]],
    "v": [0.9, -0.35, 1.7, 0.2, 2.3, -1.1, 0.55, 1.4],
}

SCIPY = """
special.entr(u)
special.erf(u)
special.erfc(u)
special.erfcx(u)
special.erfinv(u)
special.exp1(u)
special.exp10(u)
special.exp2(u)
special.exprel(u)
special.expi(u)
special.expit(u)
special.gamma(u)
special.gammaln(u)
special.i0(u)
special.i0e(u)
special.i1(u)
special.i1e(u)
special.j0(u)
special.j1(u)
special.k0(u)
special.k0e(u)
special.k1(u)
special.k1e(u)
special.log_ndtr(u)
special.loggamma(u)
special.logit(u)
special.ndtr(u)
special.ndtri(u)
special.psi(u)
special.rgamma(u)
special.sinc(u)
special.sindg(u)
special.cosdg(u)
special.tandg(u)
special.cotdg(u)
special.cosm1(u)
special.cbrt(u)
special.spence(u)
special.ellipk(u)
special.ellipkm1(u)
special.y0(u)
special.y1(u)
special.betainc(1.5,2.5,u)
special.betaincc(xp.full_like(u,1.5),2.5,u)
special.betaincinv(1.5,2.5,u)
special.betaln(p,u)
special.binom(p,u)
special.boxcox(p,u)
special.boxcox1p(p,u)
special.chdtr(3.0,p)
special.chdtrc(3.0,p)
special.chdtri(1.5,u)
special.expn(2,p)
special.fdtr(3.0,4.0,p)
special.fdtrc(3.0,4.0,p)
special.fdtri(3.0,4.0,u)
special.gammainc(1.5,p)
special.gammaincc(1.5,p)
special.gammainccinv(1.5,u)
special.gammaincinv(1.5,u)
special.gdtr(p,1.5,u)
special.gdtrc(p,1.5,u)
special.huber(u,x+0.1)
special.hyp1f1(1.5,2.5,x)
special.inv_boxcox(u,p)
special.inv_boxcox1p(u,p)
special.kl_div(p,u)
special.multigammaln(p+2,2)
special.pdtr(2,p)
special.pdtrc(2,p)
special.poch(p,u)
special.pseudo_huber(p,x)
special.pseudo_huber(u,x)
special.polygamma(1,p)
special.radian(p,u,x)
special.rel_entr(p,u)
special.stdtr(xp.full_like(x,3.0),x)
special.stdtrit(xp.full_like(u,3.0),u)
special.xlog1py(p,u)
special.xlogy(p,u)
special.yn(1,p)
special.zeta(2.5,p)
special.logsumexp(x,axis=1)
special.logsumexp(x,axis=1,b=p)
special.softmax(x,axis=1)
special.log_softmax(x,axis=1)
linalg.block_diag(x,x)
linalg.fiedler(v)
linalg.orthogonal_procrustes(x[:,:2],p[:,1:])[0]
constants.convert_temperature(x,'C','K')
constants.lambda2nu(p)
constants.nu2lambda(p)
optimize.rosen(v)
optimize.rosen_der(v)
optimize.rosen_hess(v)
optimize.rosen_hess_prod(v,v)
optimize.elementwise.find_root(lambda z,p: z*z-p,(xp.zeros_like(p),xp.ones_like(p)*3),args=(p,)).x
optimize.elementwise.find_minimum(lambda z,p:(z-p)**2,(p*0-1,p*0+0.1,p*0+5),args=(p,)).x
fft.fft(x)
fft.ifft(x)
fft.rfft(x)
fft.irfft(x)
fft.hfft(x)
fft.ihfft(x)
fft.fftn(x)
fft.ifftn(x)
fft.fft2(x)
fft.ifft2(x)
fft.rfftn(x)
fft.rfft2(x)
fft.irfftn(x)
fft.irfft2(x)
fft.hfftn(x)
fft.hfft2(x)
fft.ihfftn(x)
fft.ihfft2(x)
fft.fht(v,0.1,0.5)
fft.ifht(v,0.1,0.5)
fft.fftshift(x)
fft.ifftshift(x)
integrate.trapezoid(x,axis=1)
integrate.trapezoid(x,p)
integrate.cumulative_trapezoid(x)
integrate.cumulative_simpson(x)
integrate.romb(v[:5])
integrate.tanhsinh(lambda z,p: xp.exp(-p*z),xp.zeros_like(p),xp.ones_like(p),args=(p,)).integral
integrate.cubature(lambda z: xp.sum(z*z,axis=-1), xp.zeros_like(v[:2]), v[2:4]*v[2:4]).estimate
stats.entropy(p,axis=1)
stats.entropy(p,u,axis=1)
stats.differential_entropy(v)
stats.gmean(p)
stats.hmean(p)
stats.pmean(p,3)
stats.mode(v).mode
stats.tmean(x,(-3,3))
stats.tvar(x,(-3,3))
stats.tmin(x)
stats.tmax(x)
stats.tstd(v,(-3,3))
stats.tsem(v,(-3,3))
stats.moment(v,3)
stats.skew(v)
stats.skew(v,bias=False)
stats.kurtosis(v)
stats.describe(v).variance
stats.describe(v).kurtosis
stats.skewtest(v).statistic
stats.kurtosistest(v).statistic
stats.normaltest(v).statistic
stats.jarque_bera(v).statistic
stats.jarque_bera(v).pvalue
stats.sem(v)
stats.zscore(v)
stats.gzscore(p)
stats.zmap(v,v+1)
stats.gstd(p)
stats.iqr(v)
stats.median_abs_deviation(v)
stats.sigmaclip(v)[0]
stats.trim_mean(v,0.1)
stats.pearsonr(v,v*v).statistic
stats.pointbiserialr(v,v).statistic
stats.power_divergence(p).statistic
stats.chisquare(p).statistic
stats.chisquare(p).pvalue
stats.combine_pvalues(u).statistic
stats.variation(p)
stats.epps_singleton_2samp(v,v+1).statistic
stats.kstat(v,3)
stats.kstatvar(v)
stats.boxcox_llf(0.5,p)
stats.yeojohnson_llf(0.5,v)
stats.bartlett(v,v*2).statistic
stats.levene(v,v*2).statistic
stats.circmean(v)
stats.circvar(v)
stats.circstd(v)
stats.directional_stats(p).mean_direction
stats.quantile(v,0.3)
stats.ttest_1samp(v,0.1).statistic
stats.ttest_ind(v,v*2).statistic
stats.ttest_rel(v,v*v).statistic
stats.f_oneway(v,v*2).statistic
stats.alexandergovern(v,v*2).statistic
stats.lmoment(v)
stats.bootstrap((v,),xp.mean,n_resamples=5,rng=0).standard_error
stats.monte_carlo_test(v,lambda size: xp.ones(size),lambda a,axis: xp.mean(a,axis=axis)).statistic
stats.permutation_test((v,v*2),lambda a,b,axis: xp.mean(a,axis=axis)-xp.mean(b,axis=axis),n_resamples=9).statistic
cluster.vq.whiten(x)
signal.fftconvolve(v,v)
signal.oaconvolve(v,v)
signal.hilbert(v)
signal.hilbert2(x)
signal.envelope(v)
signal.resample(v,4)
signal.gauss_spline(v,3)
signal.freqz(v)[1]
signal.freqz_zpk(v[:1],v[1:2],1.0)[1]
signal.abcd_normalize(x[:,:2],x[:,:1],x[:1,:2],x[:1,:1])[0]
signal.lp2lp_zpk(v[:2],v[2:4],v[4])[0]
signal.lp2bp_zpk(v[:2],v[2:4],v[4],1.0)[0]
signal.vectorstrength(v,2.0)[0]
signal.normalize(v,v)[0]
spatial.transform.Rotation.from_quat(v[:4]).as_matrix()
spatial.transform.Rotation.from_rotvec(v[:3]).as_matrix()
spatial.transform.Rotation.from_rotvec(v[:3]).as_quat()
spatial.transform.Rotation.from_rotvec(v[:3]).apply(v[3:6])
spatial.transform.Rotation.from_rotvec(v[:3]).inv().as_matrix()
spatial.transform.Rotation.from_rotvec(v[:3]).magnitude()
spatial.transform.Rotation.from_euler('xyz',v[:3]).as_matrix()
spatial.transform.Rotation.from_euler('xyz',v[:3]).as_euler('xyz')
spatial.transform.Rotation.from_rotvec(v[:3]).as_mrp()
spatial.transform.Rotation.from_mrp(v[:3]).as_matrix()
(spatial.transform.Rotation.from_rotvec(v[:3])*spatial.transform.Rotation.from_rotvec(v[3:6])).as_rotvec()
spatial.transform.Rotation.from_rotvec(x).mean().as_matrix()
spatial.transform.Rotation.from_rotvec(x).as_rotvec()
spatial.transform.Rotation.align_vectors(x,p)[0].as_matrix()
spatial.transform.Slerp(xp.asarray([0.0,1.0]),spatial.transform.Rotation.from_rotvec(x))(0.3).as_matrix()
spatial.transform.RigidTransform.from_exp_coords(v[:6]).as_matrix()
spatial.transform.RigidTransform.from_translation(v[:3]).as_matrix()
spatial.transform.RigidTransform.from_exp_coords(v[:6]).as_dual_quat()
differentiate.derivative(lambda z,p: z**2*p,p,args=(p,)).df
differentiate.jacobian(lambda z: z**2, v[:2]).df
signal.bilinear_zpk(v[:2],v[2:4],v[4],1.0)[0]
signal.lp2hp_zpk(v[:2],v[2:4],v[4])[0]
signal.lp2bs_zpk(v[:2],v[2:4],v[4],1.0)[0]
signal.freqs_zpk(v[:1],v[1:2],1.0)[1]
signal.lp2lp(v[:3],v[3:6])[0]
signal.lp2hp(v[:3],v[3:6])[0]
stats.ttest_ind_from_stats(v[0],v[4],8,v[2],v[7],8).statistic
stats.ttest_1samp(v,0.1).pvalue
stats.pearsonr(v,v*v+v).pvalue
stats.normaltest(v).pvalue
stats.ttest_rel(v,v*v).pvalue
stats.bartlett(v,v*2).pvalue
stats.combine_pvalues(u).pvalue
"""
"""SciPy's that differentiate."""

EXTRA = """
xpx.angle(x + 1j * p)
xpx.apply_where(x > 0.5, x, lambda x: x * x, lambda x: 3.0 * x)
xpx.apply_where(x > 0.5, (x, p), lambda x, p: x * p, fill_value=0.0)
xpx.at(x, (0, slice(None))).set(x[1, :] ** 2)
xpx.at(x)[:, 1].add(x[:, 0], copy=True)
xpx.at(x)[0, 1].multiply(3.0, copy=True)
xpx.at(x)[0, 1].max(x[1, 1])
xpx.atleast_nd(x, ndim=3)
xpx.cov(x)
xpx.create_diagonal(v, offset=1)
xpx.deg2rad(x)
xpx.expand_dims(x, axis=(0, 2))
xpx.kron(x, p)
xpx.lazy_apply(lambda x: x * 2.0, x, xp=xp)
xpx.nan_to_num(x * x, fill_value=1.0)
xpx.nanmax(x, axis=1)
xpx.nanmean(xp.where(x > 2.0, xp.nan, x))
xpx.nanmin(x, axis=1)
xpx.nansum(xp.where(x > 2.0, xp.nan, x), axis=0)
xpx.pad(x, ((1, 0), (0, 2)), constant_values=0.5)
xpx.partition(x, 1, axis=1)
xpx.rad2deg(x)
xpx.setdiff1d(v, v[:2])
xpx.sinc(x)
xpx.union1d(v, v[:2])
"""
"""The public functions of array-api-extra."""

EINOPS = """
einops.rearrange(x, "a b -> b a")
einops.rearrange(v, "(a b) -> a b", a=2)
einops.repeat(x, "a b -> a (b c)", c=2)
einops.reduce(x, "a b -> a", "mean")
einops.reduce(x, "a b -> a", "sum")
einops.reduce(x, "a b -> a", "max")
einops.reduce(x, "a b -> a", "min")
einops.reduce(v, "(a b) -> a", "prod", b=2)
einops.pack([x, p[:, :1]], "a *")[0]
einops.unpack(x, [(1,), (2,)], "a *")
"""
"""einops.array_api: its path for the standard, one function for every library."""

PIECEWISE_CONSTANT = """
stats.kruskal(v,v+1).statistic
stats.friedmanchisquare(v,v+1,v+2).statistic
stats.rankdata(v)
stats.fligner(v,v*2).statistic
stats.mood(v,v*2).statistic
stats.chatterjeexi(v,v*v).statistic
stats.brunnermunzel(v,v*2).statistic
stats.spearmanrho(v,v*v).statistic
"""
NUMPY_ONLY = """
special.gammasgn(u)
special.zetac(u)
special.bdtr(p,3,u)
special.bdtrc(p,3,u)
special.bdtri(p,3,u)
special.lpmv(1,1,u)
special.nbdtr(2,2,u)
special.nbdtrc(2,2,u)
special.nbdtri(2,2,u)
special.pdtri(2,u)
linalg.expm(x[:,:2])
linalg.svdvals(x)
fft.dct(x)
fft.idct(x)
fft.dst(x)
fft.idst(x)
fft.dctn(x)
fft.dstn(x)
integrate.simpson(x)
integrate.nsum(lambda k,p: 1/(k+p)**2,1,10,args=(p,)).sum
stats.spearmanr(v,v*v).statistic
stats.linregress(v,v*v).slope
stats.expectile(v)
stats.wasserstein_distance(v,v+1)
stats.energy_distance(v,v+1)
stats.boxcox(p[0,:],0.5)
stats.yeojohnson(v,0.5)
stats.theilslopes(v).slope
stats.trimboth(v,0.1)
stats.wilcoxon(v).statistic
stats.mannwhitneyu(v,v*2).statistic
stats.cumfreq(v).cumcount
stats.scoreatpercentile(v,30)
stats.ks_2samp(v,v+1).statistic
cluster.vq.vq(x,x+1)[1]
cluster.hierarchy.linkage(x)
ndimage.gaussian_filter(x,1.0)
ndimage.convolve(x,x)
ndimage.laplace(x)
ndimage.sobel(x)
ndimage.median_filter(x,3)
ndimage.sum(x)
ndimage.mean(x)
ndimage.zoom(x,2)
signal.convolve(v,v)
signal.correlate(v,v)
signal.convolve2d(x,x)
signal.lfilter(xp.asarray([1.0]),xp.asarray([1.0,0.5]),v)
signal.filtfilt(xp.asarray([1.0,0.2]),xp.asarray([1.0,0.5]),v)
signal.sosfilt(xp.asarray([[1.0,0,0,1,0.5,0]]),v)
signal.detrend(v)
signal.resample_poly(v,2,1)
signal.savgol_filter(v,5,2)
signal.decimate(xp.concat([v,v,v,v]),2)
signal.upfirdn(xp.asarray([1.0,2.0]),v)
signal.medfilt(v)
signal.wiener(v)
signal.periodogram(v)[1]
signal.welch(v,nperseg=8)[1]
signal.stft(v,nperseg=8)[2]
signal.spectrogram(v,nperseg=8)[2]
signal.csd(v,v,nperseg=8)[1]
signal.coherence(v,v,nperseg=4)[1]
signal.square(v)
signal.sawtooth(v)
signal.chirp(v,1.0,1.0,2.0)
signal.cspline1d(v)
signal.qspline1d(v)
signal.deconvolve(v,v[:2])[0]
signal.sweep_poly(v,xp.asarray([1.0,2.0]))
signal.czt(v)
signal.zoom_fft(v,xp.asarray([0.1,0.5]),m=4)
signal.bilinear(v[:3],v[3:6])[0]
signal.lombscargle(v,v,v*v+0.1)
spatial.distance.cdist(x,p)
spatial.distance.euclidean(v,v*v)
interpolate.CubicSpline(xp.arange(8.0),v)(0.5)
interpolate.make_interp_spline(xp.arange(8.0),v)(0.5)
interpolate.PchipInterpolator(xp.arange(8.0),v)(0.5)
interpolate.interp1d(xp.arange(8.0),v)(0.5)
interpolate.RegularGridInterpolator((xp.arange(2.0),xp.arange(3.0)),x)(xp.asarray([[0.5,0.5]]))
signal.lfilter_zi(v[:2],v[2:4])
signal.sosfilt_zi(xp.reshape(v[:6],(1,6)))
signal.group_delay((v[:3],v[3:6]))[1]
stats.cramervonmises(v,lambda z: special.ndtr(z)).statistic
stats.ks_1samp(v,lambda z: special.ndtr(z)).statistic
ndimage.map_coordinates(x,p)
interpolate.BSpline(xp.arange(8.0),v[:4],3)(3.5)
"""
NO_CLOSED_FORM = """
special.betainc(p,p,u)
special.betaincc(p,p,u)
special.betaincinv(p,p,u)
special.chdtr(p,p)
special.chdtrc(p,p)
special.chdtri(p,u)
special.fdtr(p,p,p)
special.fdtrc(p,p,p)
special.fdtri(p,p,u)
special.gammainc(p,p)
special.gammaincc(p,p)
special.gammainccinv(p,u)
special.gammaincinv(p,u)
special.gdtr(1.5,p,u)
special.hyp1f1(p,p,x)
special.stdtr(p,x)
special.stdtrit(p,u)
special.zeta(p+1,p)
"""

WITHOUT_GRADIENT = """
xpx.argpartition(x, 1)
xpx.isclose(x, p)
xpx.isin(x, p)
xpx.nunique(x)
xpx.one_hot(xp.argmax(x, axis=1), 3)
xpx.searchsorted(xp.sort(v), v[:2])
"""
NOT_OF_ARRAYS = """
broadcast_shapes default_dtype diag_indices testing tril_indices triu_indices unravel_index
"""
"""Of array-api-extra: what takes no floating array."""

OTHERS = {
    "einops.asnumpy(x)": ("it leaves the standard, by DLPack", "DLPack would lose the gradient"),
    "integrate.fixed_quad(lambda z: z*v[0],0,1)[0]": (
        "it computes with NumPy's own functions",
        "does not support ufuncs",
    ),
    "integrate.qmc_quad(lambda z: xp.sum(z*z,axis=0),v[:1]*0,v[:1],n_points=8).integral": (
        "it draws other points at each call",
        "gave another value",
    ),
    "interpolate.RBFInterpolator(x,v[:2],degree=0)(p)": ("it uses x.view, which is not in the standard", "'view'"),
    "differentiate.hessian(lambda z: z[0]**2*z[1], v[:2]).ddf": (
        "it uses x.sum(), which is not in the standard",
        "'sum'",
    ),
    "signal.gausspulse(v)": ("it computes with NumPy's own functions", "does not support ufuncs"),
    "signal.windows.gaussian(5,v[0])": ("it computes with NumPy's own functions", "does not support ufuncs"),
    "signal.zpk2tf(v[:2],v[2:3],1.0)[0]": ("it needs NumPy's convolve", "convolve has no rule"),
    "signal.minimum_phase(v)": ("it uses x.real, which is not in the standard", "'real'"),
    "signal.freqs(v[:3],v[3:6])[1]": ("it needs NumPy's roots", "roots has no rule"),
    "signal.tf2zpk(v,v)[0]": ("it needs NumPy's roots", "roots has no rule"),
    "stats.false_discovery_control(u)": ("it uses x.copy(), which is not in the standard", "'copy'"),
}
"""What else does not, why, and what the error says."""


@dataclass(frozen=True)
class Row:
    """One call, and whether a gradient goes through it."""

    name: str
    """The function, as its library's pages have it."""
    library: str
    differentiates: bool
    why: str
    """Why it does not; empty if it does."""
    call: str
    error: str
    """What the error says (a regular expression); empty if the gradient is zero or there is none."""

    def arguments(self) -> list[str]:
        """The names of the arrays that it takes."""
        return [
            k
            for k in ARGUMENTS
            if re.search(rf"(?<![\w.\"]){k}(?![\w:])", re.sub(r"\"[^\"]*\"|lambda [^:]*:", "", self.call))
        ]

    def __call__(self, xp: Any, arrays: dict[str, Any]) -> Any:
        """Make it, with these arrays."""
        return eval(self.call, {**_libraries(), "xp": xp, **arrays})


class _Library:
    """A package whose modules are imported when they are asked for."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, name: str) -> Any:
        module = importlib.import_module(self.name)
        return getattr(module, name) if hasattr(module, name) else importlib.import_module(f"{self.name}.{name}")


MODULES = (
    "special stats linalg constants optimize fft integrate interpolate ndimage cluster signal differentiate spatial"
)
NAMES = {"xpx": ("array_api_extra", "array-api-extra"), "einops": ("einops.array_api", "einops")}
NAMES |= {name: (f"scipy.{name}", "SciPy") for name in MODULES.split()}


def _libraries() -> dict[str, Any]:
    return {short: _Library(module) for short, (module, _) in NAMES.items()}


def _rows(calls: Any, differentiates: bool, why: str = "", error: str = "") -> list[Row]:
    found = []
    for call in filter(None, calls.strip().splitlines()):
        short, _, rest = re.split(r"[(]", call.lstrip("("), maxsplit=1)[0].partition(".")
        module, library = NAMES[short]
        found.append(Row(f"{module}.{rest}", library, differentiates, why, call, error))
    return found


ROWS = [
    *_rows(SCIPY, True),
    *_rows(EXTRA, True),
    *_rows(EINOPS, True),
    *_rows(PIECEWISE_CONSTANT, False, "a function of ranks: constant but for jumps, the gradient is 0"),
    *_rows(WITHOUT_GRADIENT, False, "its result has no gradient: indices, counts and truth values are constants"),
    *_rows(NUMPY_ONLY, False, "SciPy converts its argument to a NumPy array", "knows only NumPy arrays"),
    *_rows(
        NO_CLOSED_FORM, False, "one of its arguments has no derivative in closed form", "no derivative in closed form"
    ),
    *(row for call, (why, error) in OTHERS.items() for row in _rows(call, False, why, error)),
]
