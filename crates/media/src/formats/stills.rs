//! Pictures taken out of the video: JPEG files, sheets of them, and a WebVTT storyboard that says which
//! part of which sheet is shown when.

/// Their folder, beside those of renditions.
const NAME: &str = "thumbnails";
/// Their folder, below that of the main file.
pub(crate) const FOLDER: &str = "files/thumbnails";
/// What pictures are called, by FFmpeg's pattern; the first is 1.
pub(crate) const PICTURES: &str = "thumb_%05d.jpg";
/// What sheets are called.
pub(crate) const SHEETS: &str = "sprite_%03d.jpg";
/// What the storyboard is called.
pub(crate) const STORYBOARD: &str = "storyboard.vtt";

/// The path of one of these files below the folder of all files but the main one.
pub(crate) fn below_files(name: &str) -> String {
    format!("{NAME}/{name}")
}

/// The name of a picture.
pub(crate) fn picture(number: u32) -> String {
    format!("thumb_{number:05}.jpg")
}

/// The name of a sheet.
pub(crate) fn sheet(number: u32) -> String {
    format!("sprite_{number:03}.jpg")
}
