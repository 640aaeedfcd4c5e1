//! Whether the metadata of HDR is in the stream: FFmpeg decodes one frame and says what it carries.

use tokio_util::sync::CancellationToken;

use super::listing::{Planned, Track, wrong};
use crate::{
    error::MediaError,
    plan::Plan,
    source::HdrMetadata,
    tool::{
        Call, Tools,
        child::{Access, CallLimits},
        feed,
        ffmpeg::{file_or_stdin, head, words},
        programs::Program,
    },
};

/// Share of itself by which a luminance may be off: codecs count in different units.
const ROUNDED: f64 = 0.01;

/// Agrees, or says what is missing. Nothing is asked where nothing has to be there.
pub(super) async fn check(
    tools: &Tools,
    plan: &Plan,
    track: &Track,
    cancel: &CancellationToken,
) -> Result<(), MediaError> {
    for (stream, planned) in track.planned.iter().enumerate() {
        let Planned::Video(number) = *planned else { continue };
        let wanted = plan.videos[number].hdr_metadata;
        if wanted != HdrMetadata::default()
            && !is_said(wanted, &first_frame(tools, track, stream, cancel).await?)
        {
            return Err(wrong(format!("`{}` does not say the light of its HDR", track.name)));
        }
    }
    Ok(())
}

/// What FFmpeg says of the first frame of a stream.
async fn first_frame(
    tools: &Tools,
    track: &Track,
    stream: usize,
    cancel: &CancellationToken,
) -> Result<String, MediaError> {
    let file = track.file();
    let first = track.segments.first().filter(|_| file.is_none()).map(|segment| &segment.piece);
    let feed = track.init.iter().chain(first).map(|piece| piece.path.clone()).collect();
    let access = Access { readable: file.into_iter().map(ToOwned::to_owned).collect(), writable: Vec::new() };
    let mut args = head("info");
    args.extend(words(&["-f", track.wrapping.demuxer(), "-i"]));
    args.push(file_or_stdin(file));
    args.extend(words(&["-map", &format!("0:{stream}"), "-frames:v", "1", "-vf", "showinfo"]));
    args.extend(words(&["-f", "null", "-"]));
    let limits = CallLimits { deadline: tools.limits.run_time, ..CallLimits::default() };
    let stdin = feed::through_pipe(feed)?;
    let call = Call { program: Program::Ffmpeg, args, access, stdin };
    Ok(tools.lines(call, limits, cancel, |_| {}).await?.stderr_tail)
}

fn is_said(wanted: HdrMetadata, said: &str) -> bool {
    let number = |name: &str| {
        let (_, rest) = said.split_once(name)?;
        rest.split([',', '\n', ' ']).next()?.trim().parse::<f64>().ok()
    };
    let mastering = wanted.mastering_display.is_none_or(|mastering| {
        let brightest = f64::from(mastering.luminance.0) / 10_000.0;
        let found = number("max_luminance=");
        said.contains("has_primaries:1")
            && found.is_some_and(|found| (found - brightest).abs() <= ROUNDED * brightest)
    });
    let content = wanted.content_light.is_none_or(|(most, average)| {
        number("MaxCLL=") == Some(most.into()) && number("MaxFALL=") == Some(average.into())
    });
    mastering && content
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MasteringDisplay;

    const SAID: &str = "[Parsed_showinfo_0 @ 0x7f]   side data - Mastering display metadata: has_primaries:1 has_luminance:1 r(0.6800,0.3200) g(0.2650,0.6900) b(0.1500 0.0600) wp(0.3127, 0.3290) min_luminance=0.000122, max_luminance=1000.000000\n\
        [Parsed_showinfo_0 @ 0x7f]   side data - Content light level metadata: MaxCLL=1000, MaxFALL=400\n";

    #[test]
    fn what_a_frame_carries() {
        let mastering = Some(MasteringDisplay { chromaticities: [(1, 1); 4], luminance: (10_000_000, 1) });
        let light = HdrMetadata { mastering_display: mastering, content_light: Some((1000, 400)) };
        assert!(is_said(light, SAID));
        assert!(!is_said(HdrMetadata { content_light: Some((1000, 401)), ..light }, SAID));
        assert!(!is_said(light, ""));
        let dim = Some(MasteringDisplay { chromaticities: [(1, 1); 4], luminance: (6_000_000, 1) });
        assert!(!is_said(HdrMetadata { mastering_display: dim, ..light }, SAID));
    }
}
