//! What all calls of FFmpeg and ffprobe have in common: how an input is opened, and how a file is named.
//!
//! An input is opened as a file or a pipe, by demuxers of real media alone. Playlists, scripts and devices
//! are not among them, whatever the input's name or content says.

use std::{ffi::OsString, path::Path};

/// Demuxers of files that hold video or audio, by their first names.
const MEDIA_DEMUXERS: &str = "3dostr,aac,ac3,ac4,aiff,amr,amrnb,amrwb,ape,apng,asf,asf_o,ast,au,av1,avi,avs2,avs3,avr,\
binka,caf,cavsvideo,dirac,dnxhd,dsf,dts,dtshd,dv,eac3,evc,film_cpk,flac,flic,flv,g722,gif,gsm,gxf,\
h261,h263,h264,hevc,iamf,ipu,ivf,iv8,jpegxl_anim,kux,live_flv,loas,lxf,m4v,matroska,webm,mjpeg,mlp,mlv,mov,\
mp4,m4a,3gp,3g2,mj2,mp3,mpc,mpc8,mpeg,mpegts,mpegvideo,mxf,nsv,nut,obu,ogg,oma,pmp,pva,qcp,qoa,r3d,rm,\
rpl,shn,smjpeg,smk,sox,spdif,swf,tak,thp,truehd,tta,ty,usm,vc1,vc1test,vivo,voc,vvc,w64,wav,webp_anim,\
wsd,wtv,wv,xmv,xwma,yuv4mpegpipe";

/// Demuxers of single images: they are allowed only to say what the input is.
const IMAGE_DEMUXERS: &str = "bmp_pipe,dds_pipe,dpx_pipe,exr_pipe,hdr_pipe,j2k_pipe,jpeg_pipe,jpegls_pipe,\
jpegxl_pipe,pam_pipe,pbm_pipe,pcx_pipe,pgm_pipe,png_pipe,ppm_pipe,psd_pipe,qoi_pipe,sgi_pipe,svg_pipe,\
tiff_pipe,webp_pipe,xbm_pipe,xpm_pipe";

/// What is read to learn what the streams are: audio that begins late in a transport stream is found after
/// the default of 5 MB.
const READ_AHEAD: [&str; 4] = ["-probesize", "64M", "-analyzeduration", "30M"];

/// Makes ffprobe write blocks of many lines: its standard output would be written to once a line.
pub(crate) const BLOCK_OUTPUT: [&str; 2] = ["-o", "pipe:1"];

/// Input options up to and with the file, or the pipe by its name, for a program that takes `-i`.
pub(crate) fn open_input(path: &Path, allow_images: bool) -> Vec<OsString> {
    let formats =
        if allow_images { format!("{MEDIA_DEMUXERS},{IMAGE_DEMUXERS}") } else { MEDIA_DEMUXERS.to_owned() };
    let mut arguments: Vec<OsString> =
        vec!["-protocol_whitelist".into(), "file,pipe,fd".into(), "-format_whitelist".into(), formats.into()];
    arguments.extend(READ_AHEAD.map(OsString::from));
    let name = if path.is_absolute() { file_url(path) } else { path.into() };
    arguments.extend(["-i".into(), name]);
    arguments
}

/// A file as FFmpeg opens it and nothing else: without the `file:` a name with a colon would be a protocol.
pub(crate) fn file_url(path: &Path) -> OsString {
    let mut url = OsString::from("file:");
    url.push(path);
    url
}

/// A file, or the standard input where there is none.
pub(crate) fn file_or_stdin(file: Option<&Path>) -> OsString {
    file.map_or_else(|| "pipe:0".into(), file_url)
}

/// Options that every FFmpeg has first.
pub(crate) const GLOBAL_OPTIONS: [&str; 2] = ["-nostdin", "-hide_banner"];

/// The start of a command line of FFmpeg that logs at this level and shows no progress.
pub(crate) fn head(level: &str) -> Vec<OsString> {
    let mut args = words(&GLOBAL_OPTIONS);
    args.extend(words(&["-loglevel", level, "-nostats"]));
    args
}

/// Words of a command line.
pub(crate) fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}
